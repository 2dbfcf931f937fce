"""A peer that a program runs: a daemon in a process of its own, asked through its control socket."""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeVar, Unpack, overload

from peer.api.child import Child
from peer.api.options import Options, arguments
from peer.api.run import Run
from peer.daemon.client import FINISHING, ControlClient
from peer.daemon.home import Home
from peer.daemon.limits_file import write_given
from peer.errors import HomeError, ListenError, NotRunningError, PeerError
from peer.governor.limits import Given
from peer.local.processes import NO_PAUSES
from peer.paths import expand
from peer.telemetry.event import Event
from peer.telemetry.event_file import Follower, older, read_events, read_file
from protocol.control import Detail, Status

if TYPE_CHECKING:
    from peer.models.export import Exported
    from peer.models.held_out import HeldOut
    from peer.models.replicas import Replicas
    from peer.models.report import Evaluation

WHOLE = 1 << 62
"""Bytes at the end of a log with which who follows it begins: all of it."""

E = TypeVar("E", bound=Event)


class Peer:
    """One peer, from `start` to `stop`: what `peer start` does with the same options.

    Its daemon is a process of its own, so that it never waits for the program's threads, and its trainer is
    another. Both end with the program, however that ends; as a context manager they end with the block:

        with Peer(Run(inner={"steps": 500}), home="a", steps=500) as founder:
            with Peer(home="b", bootstrap=founder.address) as second:
                founder.wait(step=500)

    Every method blocks, and raises the `PeerError` with which the daemon failed, if it did.

    Args:
        run: to found, or to compare with what the bootstraps or the home have; None to join one, to go on
            with the home's, or to found the default one.
        home: the peer's folder: identity, manifest, checkpoints, events. Each peer needs its own.
        bootstrap: addresses of peers to join through.
        threads: of its trainer; None for one less than there are cores. Peers that share one machine's cores
            train fastest with 1.
        limits: by the names of `peer limits`, such as `{"upload": "10Mbit"}`: they replace all that the home
            has, and nothing else pauses it, as who starts a peer in a program wants to see it train.
            Without them, a home that exists keeps its own, and in a new one nothing pauses it.
        options: those of `peer start`, such as `steps=200` or `listen="/ip4/0.0.0.0/tcp/4001"`.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        home: str | PathLike[str] = "~/.murmuration",
        bootstrap: str | Sequence[str] = (),
        threads: int | None = None,
        limits: Given | None = None,
        **options: Unpack[Options],
    ) -> None:
        if unknown := sorted(set(options) - set(Options.__annotations__)):
            raise TypeError(f"Peer has no option {', '.join(unknown)}; `peer start --help` tells of each")
        self.home = expand(Path(home)).absolute()
        self._run = run
        self._bootstraps = (bootstrap,) if isinstance(bootstrap, str) else tuple(bootstrap)
        self._threads = threads
        self._limits = limits
        self._options = options
        self._child: Child | None = None

    # ---- its life

    def start(self) -> Self:
        """Start it, and return once it has its run; what then follows is training.

        Raises:
            PeerError: it cannot start; the class and the message are those of `peer start`.
        """
        if self.running:
            return self
        with self._run.written() if self._run else nullcontext() as file:
            try:
                if self._limits is not None or not self.home.exists():
                    write_given(self.home, {**NO_PAUSES, **(self._limits or {})})
                self._child = Child(self.home, [*self._arguments(file)], self._threads)
            except OSError as error:
                raise HomeError(f"Cannot use {self.home}: {error.strerror}", "Name another home") from error
            try:
                self._child.wait_until_it_answers()
            except BaseException:
                self.stop()
                raise
        return self

    def stop(self) -> None:
        """Let it say goodbye, write a checkpoint, and end; end it where it does not. Twice is no harm."""
        if self._child is None:
            return
        if self._child.running:
            with suppress(PeerError), self._client() as client:
                client.stop()
                client.wait_until_gone()
        self._child.end()

    def finish(self) -> None:
        """Let the exchange under way end first, and write the checkpoint whatever time it takes.

        Raises:
            PeerError: it has failed, does not run, or has not ended after many minutes.
        """
        with self._client() as client:
            client.finish()
            client.wait_until_gone(FINISHING)
        self._started().end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *details: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Peer {str(self.home)!r}, {'running' if self.running else 'not running'}>"

    @property
    def running(self) -> bool:
        """Whether its daemon lives."""
        return self._child is not None and self._child.running

    # ---- what it says

    def status(self) -> Status:
        """Return how it is, or how it was when it ended: what `peer status --json` prints.

        Raises:
            PeerError: its daemon has failed, does not answer, or was not started.
        """
        child = self._started()
        if child.running:
            try:
                with child.client() as client:
                    return client.status()
            except NotRunningError:
                # It may be ending just now.
                child.rest()
                if child.running:
                    raise
        return child.last_status()

    def statistics(self) -> Detail:
        """Return all that is to be known of it: links, transfers, exchanges, losses; as `peer top --json`.

        Raises:
            PeerError: as `status`; also where it has ended in order.
        """
        with self._client() as client:
            return client.detail()

    @property
    def address(self) -> str:
        """Where others join through it: their `bootstrap`.

        Raises:
            ListenError: others cannot dial it, as far as it knows.
            PeerError: as `status`.
        """
        addresses = self.status().addresses
        if not addresses:
            raise ListenError(
                f"The peer in {self.home} knows no address that others could dial",
                'Give one with announce=..., or listen="/ip4/127.0.0.1/tcp/0" where all are on this machine',
            )
        return addresses[0]

    @property
    def joining_command(self) -> str:
        """What a second machine types."""
        return f"peer start --bootstrap {self.address}"

    @overload
    def events(self, *, since: float | None = None, follow: bool = False) -> Iterator[Event]: ...

    @overload
    def events(self, *kinds: type[E], since: float | None = None, follow: bool = False) -> Iterator[E]: ...

    def events(
        self, *kinds: type[Event], since: float | None = None, follow: bool = False
    ) -> Iterator[Event]:
        """Yield what has happened to it, the oldest first.

        Args:
            kinds: classes of `peer.telemetry.events` to choose; without any, all are told.
            since: seconds since 1970; None for its last start, 0 for all that its home has kept.
            follow: go on with what happens, until the peer has ended.
        """
        moment = self._started().began if since is None else since
        for event in self._told(follow=follow):
            if event.time >= moment and (not kinds or isinstance(event, kinds)):
                yield event

    def wait(
        self, *, step: int | None = None, tokens: int | None = None, timeout: float | None = None
    ) -> Status:
        """Wait until it has made so many inner steps, or trained on so many tokens; else until it has ended.

        Args:
            step: of the run: who joins late begins where the others are.
            tokens: likewise, those before it included.
            timeout: seconds.

        Raises:
            TimeoutError: not in time; the peer goes on.
            NotRunningError: it has ended before.
            PeerError: as `status`.
        """
        limit = None if timeout is None else time.monotonic() + timeout
        while True:
            ended = not self.running
            status = self.status()
            if _reached(status, step, tokens) or (ended and step is None and tokens is None):
                return status
            if ended:
                raise NotRunningError(
                    f"The peer in {self.home} has ended at inner step {status.inner_step}, which is before",
                    "Give it more steps",
                )
            if limit is not None and time.monotonic() >= limit:
                why = f": paused: {status.pause.reason}" if status.pause is not None else ""
                raise TimeoutError(f"inner step {status.inner_step} after {timeout:g} s{why}")
            self._started().rest()

    def _told(self, *, follow: bool) -> Iterator[Event]:
        log = Home(self.home).events
        if not follow:
            yield from read_events(log)
            return
        yield from read_file(older(log))
        with Follower(log, tail=WHOLE) as follower:
            while True:
                ended = not self.running
                yield from follower.read()
                if ended:
                    return
                self._started().rest()

    # ---- what it is told

    def pause(self, reason: str = "") -> Status:
        """Stop training after the step under way; the peer stays, and others do not wait for it."""
        with self._client() as client:
            return client.pause(reason)

    def resume(self) -> Status:
        """Train again."""
        with self._client() as client:
            return client.resume()

    def _arguments(self, run_file: Path | None) -> Iterator[str]:
        if run_file is not None:
            yield f"--run={run_file}"
        yield from (f"--bootstrap={address}" for address in self._bootstraps)
        yield from arguments(self._options)

    def _started(self) -> Child:
        if self._child is None:
            raise NotRunningError(f"The peer in {self.home} was not started", "Call start(), or use `with`")
        return self._child

    def _client(self) -> ControlClient:
        return self._started().client()

    # ---- its model

    def export(
        self,
        folder: str | PathLike[str],
        *,
        others: "Sequence[Peer]" = (),
        dtype: Literal["fp32", "bf16"] = "fp32",
        merge: bool = False,
        gguf: bool = False,
        force: bool = False,
        tokenizer: str | PathLike[str] | None = None,
        base: str | PathLike[str] | None = None,
    ) -> "Exported":
        """Write its last checkpoint as a model that others load: see `peer export`. Loads torch.

        Args:
            folder: new, or one to which was exported before, with `force`.
            others: peers of the same run, to average it with.
            dtype: of the weights.
            merge: write the base model with the run's adapters in it, as one model.
            gguf: write `model.gguf` as well.
            force: replace an earlier export.
            tokenizer: the run's `tokenizer.json`; None for what the peer used.
            base: the run's base model, where it has one; None for what the peer used.

        Raises:
            PeerError: as `peer export`; also where there is no checkpoint yet.
        """
        from peer.models.export import Order, export
        from peer.models.replicas import unheard

        order = Order(Path(folder), dtype, force, gguf, merge)
        return export(self._replicas(others, tokenizer, base), order, unheard)

    @overload
    def evaluate(
        self,
        text: None = None,
        *,
        others: "Sequence[Peer]" = (),
        device: str = "cpu",
        tokenizer: str | PathLike[str] | None = None,
        base: str | PathLike[str] | None = None,
    ) -> "HeldOut": ...

    @overload
    def evaluate(
        self,
        text: str | PathLike[str],
        *,
        others: "Sequence[Peer]" = (),
        device: str = "cpu",
        tokenizer: str | PathLike[str] | None = None,
        base: str | PathLike[str] | None = None,
    ) -> "Evaluation": ...

    def evaluate(
        self,
        text: str | PathLike[str] | None = None,
        *,
        others: "Sequence[Peer]" = (),
        device: str = "cpu",
        tokenizer: str | PathLike[str] | None = None,
        base: str | PathLike[str] | None = None,
    ) -> "Evaluation | HeldOut":
        """Measure the loss of its last checkpoint: see `peer evaluate`. Loads torch.

        Args:
            text: a text file; None for what the run holds out.
            others: peers of the same run: theirs are measured too, and the average of all.
            device: where to run the model, beside what trains.
            tokenizer: the run's `tokenizer.json`; None for what the peer used.
            base: the run's base model, where it has one; None for what the peer used.

        Raises:
            PeerError: as `peer evaluate`; also where there is no checkpoint yet.
        """
        from peer.models.held_out import evaluate_held_out
        from peer.models.replicas import unheard
        from peer.models.report import evaluate_replicas
        from peer.trainer.device import choose

        replicas, chosen = self._replicas(others, tokenizer, base), choose(device)
        if text is None:
            return evaluate_held_out(replicas, chosen, unheard)
        return evaluate_replicas(replicas, Path(text), chosen, unheard)

    def _replicas(
        self,
        others: "Sequence[Peer]",
        tokenizer: str | PathLike[str] | None,
        base: str | PathLike[str] | None,
    ) -> "Replicas":
        from peer.cli.replicas import find_replicas

        homes = [self.home, *(other.home for other in others)]
        file = None if tokenizer is None else Path(tokenizer)
        return find_replicas(homes, None, file, None if base is None else str(base))


def _reached(status: Status, step: int | None, tokens: int | None) -> bool:
    """Say whether all that was named is reached; nothing named never is."""
    named = [(status.inner_step, step), (status.tokens, tokens)]
    asked = [now >= then for now, then in named if then is not None]
    return bool(asked) and all(asked)
