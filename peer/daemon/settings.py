"""What a person asks of one daemon, and what its home remembers between runs."""

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

from peer.daemon.home import write_atomically
from peer.telemetry.log import LogFormat
from protocol.control import Pause
from protocol.gpu import Gpu


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `peer start`."""

    home: Path
    run_file: Path | None = None
    bootstraps: tuple[str, ...] = ()
    listen: tuple[str, ...] = ()
    """Empty: every interface, on the port of last time or any free one."""
    announce: tuple[str, ...] = ()
    """Addresses to tell others in place of those of this machine."""
    announce_loopback: bool = False
    relay: bool = True
    """Carry control traffic of peers that cannot be dialled, once it is proved that we can be."""
    upnp: bool = True
    """Ask the router for a port, where this machine has no address of the internet."""
    bulk_port: int = 0
    """Port of the lanes, at the hosts of `listen`; 0: any free one."""
    upload_limit: float = math.inf
    """Bytes of objects a second that we give."""
    download_limit: float = math.inf
    """Bytes of objects a second that we fetch."""
    device: str = "auto"
    stop_at: int | None = None
    """Inner step after which to leave."""
    shard: int | None = None
    data_paths: tuple[Path, ...] = ()
    """Of the sources of text that each peer brings, in the manifest's order."""
    tokenizer_path: Path | None = None
    weights_path: Path | None = None
    """First weights, where the manifest names a file."""
    model: str | None = None
    """The base model, where the manifest names one: a folder, or a name on the Hub."""
    task: str | None = None
    """The plug-in's task that may run here, where the manifest names it."""
    batch: int | None = None
    """Sequences of one inner step on this host; None: the manifest's."""
    micro_batch: int | None = None
    """The most sequences in one pass through a device; None: as many as fit."""
    metrics_host: str = "127.0.0.1"
    """Metrics name the partners of this host: others see them only where its owner says so."""
    metrics_port: int | None = None
    """None: the usual port, or any free one where it is taken."""
    tensorboard: Path | None = None
    """Folder for TensorBoard's event files."""
    wandb: str | None = None
    """Project of Weights & Biases."""
    log_format: LogFormat = "text"
    stop_on_eof: bool = False
    """Leave when standard input ends: whoever started us is gone."""


class TrainedOn(msgspec.Struct, frozen=True):
    """A device, and what was asked for when it was chosen."""

    asked: str
    kind: str
    gpus: tuple[Gpu, ...] = ()


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What a home keeps beside its identity and checkpoints, so that a restart needs no options."""

    port: int | None = None
    shard: int | None = None
    data_paths: tuple[str, ...] = ()
    tokenizer_path: str | None = None
    weights_path: str | None = None
    bootstraps: tuple[str, ...] = ()
    """Whom it joined through, or was joining when it was stopped."""
    model_path: str | None = None
    allowed_task: str | None = None
    paused: Pause | None = None
    """A pause that a person asked for and has not ended."""
    trained_on: TrainedOn | None = None
    told: str = ""
    """What was said last of what this peer uses, as a hash: it is said again once it has changed."""
    told_before: str = ""
    """The same, of what it said before it began."""


class _Earlier(msgspec.Struct, frozen=True):
    """What homes kept in place of `data_paths` while a run had one source of text."""

    data_path: str | None = None


_FILE = "settings.json"


def recall(home: Path) -> Remembered:
    """Return what was remembered; a missing or damaged file is as good as none."""
    try:
        file = (home / _FILE).read_bytes()
        remembered = msgspec.json.decode(file, type=Remembered)
        if (path := msgspec.json.decode(file, type=_Earlier).data_path) is not None:
            return msgspec.structs.replace(remembered, data_paths=(path,))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Remembered()
    return remembered


def remember(home: Path, remembered: Remembered) -> None:
    """Write it down."""
    write_atomically(home / _FILE, msgspec.json.format(msgspec.json.encode(remembered)) + b"\n")


def recall_data(home: Path, given: tuple[str, ...], needed: int) -> tuple[str, ...]:
    """Return where the sources of text are, as said now, or before, but for what the run does not read.

    Homes remember such, from when it was refused only after that.
    """
    return (given or recall(home).data_paths)[:needed]
