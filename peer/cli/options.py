"""Options that several commands share."""

import re
from pathlib import Path
from typing import Annotated

import typer

from peer.errors import UsageError
from peer.paths import expand


def device(text: str) -> str:
    """Return the device, or the devices with commas between them, that are meant.

    Raises:
        UsageError: it is none.
    """
    if re.fullmatch(r"auto|cuda|mps|(cpu|cuda:\d{1,3})(,(cpu|cuda:\d{1,3}))*", text) is None:
        raise UsageError(
            f"{text!r} is no device",
            "Use auto, cpu, mps, cuda, cuda:1 for the second GPU, or several: cuda:0,cuda:1 or cpu,cpu",
        )
    return text


TrainDevice = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        parser=device,
        help="Where to train: auto, cpu, mps, cuda (all GPUs alike), cuda:1; or cuda:0,cuda:1, or cpu,cpu.",
    ),
]
Home = Annotated[
    Path,
    typer.Option(
        "--home",
        metavar="DIR",
        callback=expand,
        help="The peer's folder: identity, manifest, checkpoints, events.",
    ),
]
RunDevice = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        help="Where to run the model, beside training: auto, cpu, mps, cuda or cuda:1.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
