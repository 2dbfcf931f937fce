"""One peer in one run: the network side and the trainer, joined."""

import os
from contextlib import suppress

import msgspec
import trio

from peer.config.run_file import read_run_file
from peer.daemon import disk
from peer.daemon.founding import allowed_task, base_model, local_paths
from peer.daemon.governing import Governor
from peer.daemon.history_file import read_history, write_history
from peer.daemon.home import Home
from peer.daemon.joining import Joining
from peer.daemon.last_status import write_last_status
from peer.daemon.pausing import Pausing
from peer.daemon.reporter import Reporter
from peer.daemon.returning import Returning
from peer.daemon.runtime import Runtime
from peer.daemon.settings import Settings, recall, recall_data, remember
from peer.daemon.suspension import Suspension
from peer.daemon.trainer_link import TrainerLink
from peer.daemon.trainer_process import END_DEADLINE
from peer.daemon.using import say_once, uses, will_use
from peer.daemon.voting import Voting
from peer.swarm.catching_up import CatchingUp
from peer.swarm.engagement import OwnShare
from peer.swarm.learner import LearnerGoneError
from peer.swarm.line import Line
from peer.swarm.objects import ObjectStore
from peer.swarm.resting import FINISHING
from peer.swarm.swarm import Ladder, Run, Swarm
from peer.swarm.transport import Transport
from peer.swarm.upnp import RouterPort
from peer.telemetry import events
from peer.telemetry.log import Log
from peer.telemetry.statistics import DiskStatistics
from protocol import trainer as ipc
from protocol.control import Status
from protocol.fetching import Download, Fetched
from protocol.identity import Identity
from protocol.messages import ObjectRef

HOUSEKEEPING = 5.0
"""Seconds between two looks at whether we are alone, and two writings of the peer cache."""

ALONE_PATIENCE = 15.0
"""Seconds alone before it is said aloud: a peer that has just started finds the others sooner."""

DRAIN = 300.0
"""Seconds for the exchange under way to end when the peer is to finish."""

LAST_CHECKPOINT = 600.0
"""Seconds for the last checkpoint of a peer that finishes, which nobody hurries."""


class Node:
    """Runs the swarm side and the trainer of one peer until it is done or told to stop."""

    def __init__(
        self,
        settings: Settings,
        home: Home,
        runtime: Runtime,
        identity: Identity,
        transport: Transport,
        run: Run,
        log: Log,
        line: Line,
    ) -> None:
        self._settings = settings
        self._home = home
        self._line = line
        self._told_rate = line.streamed
        self._runtime = runtime
        self._transport = transport
        self.run_ = run
        self._log = log
        self._peer_id = identity.peer_id
        self._state = "starting"
        self._stopping: str | None = None
        self._stop = trio.Event()
        self._finish = trio.Event()
        self._patience = END_DEADLINE
        self._left = trio.Event()
        self._metrics: str | None = None
        self._has_pace = trio.Event()
        self.reporter = Reporter(log)
        if home.has_checkpoint():
            read_history(home.path, self.reporter.losses)
        self._trainer_log = home.path / "trainer.log"
        self.link = TrainerLink(
            begin=self._begin,
            on_message=self._heard,
            on_death=self._trainer_died,
            spool=runtime.spool,
            log=self._trainer_log,
        )
        ladder = Ladder(volunteers=settings.relay, mapper=RouterPort() if settings.upnp else None)
        store = ObjectStore(runtime.spool)
        self.swarm = Swarm(
            transport, identity, run, self.link, store, self.reporter, ladder=ladder, line=line
        )
        self.pausing = Pausing(home, self.link, self.swarm, log)
        self.governor = Governor(
            home.path,
            settings,
            run.manifest,
            self.pausing,
            line,
            lambda: sum(self._traffic()) + self.reporter.fetched,
            log,
        )
        self.joining = Joining(run, transport, self.swarm, home, runtime, log)
        self._returning = Returning(self.joining, self.link, self.swarm, self._lacks_room)
        self.catching_up = CatchingUp(self.swarm.behind, self.swarm.resting, self._returning, self.reporter)
        self._voting: Voting | None = None
        if run.manifest.outer.preset == "onebyte":
            self._voting = Voting(identity, run, transport, self.swarm, self.link, home, log)
        wanted = read_run_file(settings.run_file) if settings.run_file else None
        data, tokenizer = local_paths(settings, wanted)
        weights = settings.weights_path or (wanted.weights_path if wanted else None)
        self._remember(
            port=_port(transport),
            data_paths=recall_data(home.path, data, run.manifest.data.places),
            tokenizer_path=str(tokenizer) if tokenizer else None,
            weights_path=str(weights.absolute()) if weights else None,
            model_path=base_model(settings, wanted),
            allowed_task=allowed_task(settings, wanted),
        )

    def stop(self, reason: str = "asked to") -> None:
        """Begin to leave: goodbye to the peers, a last checkpoint, then `run` returns."""
        if self._stopping is None:
            self._stopping = reason
            self._state = "stopping"
            self.swarm.pairing.withdraw()
            self._stop.set()

    def finish(self) -> None:
        """Begin nothing new, and leave as `stop` does once the exchange under way has ended."""
        self._finish.set()

    async def run(self) -> None:
        """Train and line up until the trainer has made its steps or `stop` is called."""
        self._say_what_will_be_used()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.swarm.run)
            nursery.start_soon(self._housekeeping)
            nursery.start_soon(self._keep_rate_told)
            nursery.start_soon(self.pausing.run)
            nursery.start_soon(self.governor.run)
            nursery.start_soon(self._say_what_is_used)
            nursery.start_soon(self._drain_when_told)
            nursery.start_soon(self._leave_when_told)
            if self._voting is not None:
                nursery.start_soon(self._voting.run)
            else:
                nursery.start_soon(self.catching_up.run)
            finished = await self.link.run()
            if self._stopping is None:
                self._state = "finished"
                await self.swarm.leave()
            else:
                await self._left.wait()
            self._cache_peers()
            reason = self._stopping or "all its steps are made"
            step = finished.inner_step if finished else self.reporter.inner_step
            self._log(events.Stopped(reason=reason, inner_step=step))
            write_last_status(self._home.path, self.status())
            nursery.cancel_scope.cancel()

    async def _drain_when_told(self) -> None:
        await self._finish.wait()
        self.swarm.resting.begin(FINISHING)
        with trio.move_on_after(DRAIN):
            await self.swarm.pairing.wait_idle()
        self._patience = LAST_CHECKPOINT
        self.stop("told to finish")

    async def _leave_when_told(self) -> None:
        await self._stop.wait()
        async with trio.open_nursery() as nursery:
            # The trainer's end lets `run` go on, so the goodbye must not wait for it, nor it for the goodbye.
            nursery.start_soon(self.swarm.leave)
            nursery.start_soon(self.link.finish, self._patience)
            if self._voting is not None:
                nursery.start_soon(self._voting.leave)
        self._left.set()

    # ---- what the trainer starts from

    async def _begin(self) -> ipc.Begin:
        await self.governor.looked.wait()
        resumes = self._voting is None and self._home.has_checkpoint()
        if resumes and not self.catching_up.statistics().behind:
            # Before a pause, which it may be the cause of: it takes room.
            self.joining.done()
        if await self.pausing.wait_over():
            self._returning.paused()
        state = None
        if self._voting is not None:
            await self._voting.join()
        elif resumes:
            state = self._returning.lend()
        elif self._somebody_may_have_a_state():
            self._state = "joining"
            state = await self.joining.join()
        remembered = recall(self._home.path)
        gpu_memory = self.governor.limits.gpu_memory
        self._state = "training"
        begin = ipc.Begin(
            manifest=self.run_.manifest,
            peer_id=self._peer_id,
            home=str(self._home.path),
            spool=str(self._runtime.spool),
            device=self._settings.device,
            shard=self._choose_shard(),
            stop_at=self._settings.stop_at,
            data_paths=remembered.data_paths,
            tokenizer_path=remembered.tokenizer_path,
            weights_path=remembered.weights_path,
            model_path=remembered.model_path,
            allowed_task=remembered.allowed_task,
            batch=self._settings.batch,
            micro_batch=self._settings.micro_batch,
            out_of_memory=self.link.out_of_memory,
            state=state,
            gpu_memory=gpu_memory.plain if gpu_memory is not None else None,
            memory=self.governor.for_trainer,
            download=self._line.streamed,
        )
        self._told_rate = begin.download
        return await self._voting.complete(begin) if self._voting is not None else begin

    def _somebody_may_have_a_state(self) -> bool:
        return bool(self.run_.bootstraps or self.run_.cached() or self.swarm.view.live())

    def _choose_shard(self) -> int:
        """Keep the shard of last time, or take the one asked for, or one that nobody in view reads."""
        shards = self.run_.manifest.data.shards
        shard = recall(self._home.path).shard
        if self._settings.shard is not None:
            shard = self._settings.shard % shards
        if shard is None:
            shard = self.swarm.free_shard(shards)
        self.swarm.membership.shard = shard
        self._remember(shard=shard)
        return shard

    def _remember(self, **changes: int | str | tuple[str, ...] | None) -> None:
        known = {name: value for name, value in changes.items() if value is not None}
        remember(self._home.path, msgspec.structs.replace(recall(self._home.path), **known))

    # ---- what the trainer says

    def _heard(self, message: ipc.FromTrainer) -> None:
        self.reporter.heard(message)
        self.pausing.heard(message)
        self.governor.heard(message)
        self._returning.heard(message)
        if self._voting is not None:
            self._voting.heard(message)
        if isinstance(message, ipc.Share):
            self._share(message)
        elif isinstance(message, ipc.StateRefused):
            if not message.ours:
                self.joining.refused(message.reason)
        elif isinstance(message, ipc.Ready):
            self._ready(message)
        elif isinstance(message, Fetched):
            self._line.download.came(message.size)
        elif isinstance(message, ipc.Checkpointed):
            write_history(self._home.path, self.reporter.losses)
        elif isinstance(message, ipc.Progress):
            self._progressed(message)

    def _progressed(self, message: ipc.Progress) -> None:
        if self.pausing.now is None:
            self.swarm.pairing.next_boundary = message.next_boundary
        if self.reporter.pace is not None:
            self._has_pace.set()

    def _ready(self, message: ipc.Ready) -> None:
        self.swarm.behind.stepped(message.outer_step)
        if message.resumed or message.outer_step:
            # A state of others too was on its way for a while.
            self.swarm.behind.stood_still()
        if not message.resumed:
            self.joining.taken()

    def _say_what_will_be_used(self) -> None:
        """Say what is known before the trainer begins, and before a newcomer fetches anything."""
        home, device = self._home, self._settings.device
        joins = self._voting is None and not home.has_checkpoint() and self._somebody_may_have_a_state()
        said = will_use(home.path, self.run_.manifest, device, self.governor.limits, joins=joins)
        say_once(home.path, said, self._log)

    async def _say_what_is_used(self) -> None:
        """Say it once the first progress has told the pace."""
        await self._has_pace.wait()
        ready, pace = self.reporter.ready, self.reporter.pace
        if ready is None or pace is None:
            return
        manifest = self.run_.manifest
        said = await uses(
            manifest,
            ready,
            batch=self._settings.batch or manifest.inner.batch,
            micro_batch=self.reporter.micro_batch,
            peers=self.swarm.membership.horizon.statistics().size,
            pace=pace,
            trainer=self.link.statistics().pid,
        )
        say_once(self._home.path, said, self._log)

    def _share(self, message: ipc.Share) -> None:
        stop_at = self._settings.stop_at
        every = self.run_.manifest.outer.every
        final = stop_at is not None and message.inner_step + every > stop_at
        blobs = [blob for blob in (message.body, message.bounds) if blob is not None]
        if self._stopping or (final and not message.fresh):
            # The trainer ends once its last share is mixed; a promise of another mix could not be kept.
            for blob in blobs:
                (self._runtime.spool / blob.file).unlink(missing_ok=True)
            return
        share = OwnShare(
            share=message.share,
            fragment=message.fragment,
            outer_step=message.outer_step,
            tokens=message.tokens,
            standing=message.standing,
            codec=message.codec,
            ref=_ref(message.body),
            bounds=_ref(message.bounds),
            reference=message.reference,
            mixed=message.mixed,
            final=final,
        )
        self.swarm.new_share(share, [blob.file for blob in blobs])

    def _trainer_died(self, code: int, restarts: int, said: str) -> None:
        self._state = "restarting trainer"
        self.swarm.pairing.forget()
        self._returning.trainer_died()
        self.reporter.trainer_died(code, restarts, said, self._trainer_log)

    # ---- keeping house

    def serves_metrics(self, url: str) -> None:
        """Note where the metrics are to be had."""
        self._metrics = url
        self._log(events.MetricsServed(url=url))

    async def _housekeeping(self) -> None:
        suspension = Suspension()
        while True:
            await trio.sleep(HOUSEKEEPING)
            if suspension.over(HOUSEKEEPING):
                await self._wake_up()
            if self.run_.manifest.outer.preset != "solo":
                self.reporter.alone(self.swarm.view.statistics().alone_seconds, ALONE_PATIENCE)
            self._cache_peers()

    async def _keep_rate_told(self) -> None:
        """Tell the trainer of another rate at once, and again where there was none to hear it."""
        while True:
            changed = self._line.download.changed
            await self._tell_rate()
            with trio.move_on_after(HOUSEKEEPING):
                await changed.wait()

    async def _tell_rate(self) -> None:
        """Let the trainer know where it may fetch faster than it was told, or must slower."""
        rate = self._line.streamed
        if rate != self._told_rate:
            with suppress(LearnerGoneError):
                await self.link.tell(Download(rate=rate))
                self._told_rate = rate

    async def _wake_up(self) -> None:
        """Say that the machine has slept: a pause of which nobody had told us."""
        self.swarm.behind.stood_still()
        with suppress(LearnerGoneError):
            await self.link.tell(ipc.Slept())

    def _cache_peers(self) -> None:
        # A view emptied by a fault of our own link must not wipe out what would mend it.
        if live := self.swarm.view.live():
            self._home.write_peers(live)

    def disk(self) -> DiskStatistics | None:
        """Say how full the home's disk is."""
        return disk.look(self._home.path, self.run_.manifest)

    def _lacks_room(self) -> str:
        return disk.lacks_room(self._home.path, self.governor.limits.disk, self.run_.manifest)

    def status(self) -> Status:
        """Say how this peer is."""
        told, manifest = self.reporter, self.run_.manifest
        swarm, link = self.swarm.statistics(), self.link.statistics()
        bytes_in, bytes_out = self._traffic()
        return Status(
            peer_id=self._peer_id,
            run_id=self.run_.run_id.hex(),
            run_name=manifest.name,
            state=self._shown_state,
            pid=os.getpid(),
            trainer_pid=link.pid,
            device=told.ready.device if told.ready else "",
            device_name=told.ready.name if told.ready else "",
            ranks=told.ranks,
            micro_batch=told.micro_batch,
            preset=manifest.outer.preset,
            codec=told.codec or manifest.codecs[0],
            inner_step=told.inner_step,
            outer_step=told.outer_step,
            tokens=told.tokens,
            loss=told.loss,
            tokens_per_second=told.progress.tokens_per_second if told.progress else 0.0,
            exchanges=swarm.exchange.done,
            skips=sum(swarm.match.skips.values()),
            partner=swarm.match.partner or told.last_partner,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            lane_bytes_out=swarm.bulk.bytes_out if swarm.bulk else 0,
            peers_in_view=swarm.view.live,
            alone_seconds=swarm.view.alone_seconds,
            addresses=self._transport.addresses,
            trainer_restarts=link.restarts,
            metrics=self._metrics,
            reachable=swarm.reach.verdict.reachable,
            nat=swarm.reach.verdict.nat,
            circuits=len(swarm.reach.circuits),
            relayed=swarm.transport.relayed_connections,
            swarm_size=swarm.horizon.size,
            joining=self.joining.status(),
            behind=self.catching_up.statistics().behind or None,
            stayed_behind=self.catching_up.statistics().reason,
            pause=self.pausing.now,
            task=manifest.task.name if manifest.task else None,
            pauses=self.pausing.all,
            unwatched=self.governor.unwatched,
            month=self.governor.month,
        )

    def _traffic(self) -> tuple[int, int]:
        """Return the bytes that came and went, over streams and lanes, since the daemon began."""
        swarm = self.swarm.statistics()
        lanes_in, lanes_out = (swarm.bulk.bytes_in, swarm.bulk.bytes_out) if swarm.bulk else (0, 0)
        return swarm.transport.bytes_received + lanes_in, swarm.transport.bytes_sent + lanes_out

    @property
    def _shown_state(self) -> str:
        if self._state in ("stopping", "finished"):
            return self._state
        if self._finish.is_set():
            return "finishing"
        if self.pausing.now is not None:
            return "paused"
        return "catching up" if self.catching_up.statistics().behind else self._state


def _ref(blob: ipc.Blob | None) -> ObjectRef | None:
    return None if blob is None else ObjectRef(sha256=blob.sha256, size=blob.size)


def _port(transport: Transport) -> int | None:
    for address in transport.candidates:
        parts = address.split("/")
        if "tcp" in parts:
            return int(parts[parts.index("tcp") + 1])
    return None
