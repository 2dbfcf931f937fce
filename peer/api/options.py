"""The options of a peer, by the names that they have in `peer start`."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import TypedDict


class Options(TypedDict, total=False):
    """The options of `peer start` beside home, run and bootstraps; `peer start --help` tells each.

    Dashes are underscores here, what may be given several times is a sequence, and a flag is a boolean:
    `announce_loopback=True`. Values are written as there: `upload_limit="10Mbit"`. None is the default.
    """

    listen: str | Sequence[str] | None
    announce: str | Sequence[str] | None
    announce_loopback: bool | None
    relay: bool | None
    upnp: bool | None
    bulk_port: int | None
    upload_limit: str | None
    download_limit: str | None
    device: str | None
    steps: int | None
    shard: int | None
    data: str | PathLike[str] | Sequence[str | PathLike[str]] | None
    tokenizer: str | PathLike[str] | None
    weights: str | PathLike[str] | None
    model: str | PathLike[str] | None
    task: str | None
    batch: int | None
    micro_batch: int | None
    metrics_host: str | None
    metrics_port: int | None
    tensorboard: str | PathLike[str] | None
    wandb: str | None


def arguments(options: Mapping[str, object]) -> Iterator[str]:
    """Yield options as they stand on a command line."""
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            yield flag if value else f"--no-{flag[2:]}"
        elif isinstance(value, list | tuple):
            yield from (f"{flag}={item}" for item in value)
        elif value is not None:
            yield f"{flag}={value}"
