"""`peer sample`: text that a model writes, as it writes it."""

import secrets
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from peer.cli.options import AsJson, RunDevice
from peer.cli.replicas import BaseModel, Homes, ModelFolder, TokenizerFile, find_replicas, one_source
from peer.errors import UsageError

if TYPE_CHECKING:
    from peer.models.loaded import Loaded


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What `peer sample --json` prints. Fields keep their names and meanings."""

    prompt: str
    text: str
    """What follows the prompt."""
    tokens: int
    seed: int
    model: str
    """What wrote it, for people."""


def sample(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="The beginning of a text, which the model goes on with.")
    ],
    home: Homes = None,
    model: ModelFolder = None,
    tokens: Annotated[
        int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many tokens to write.")
    ] = 200,
    temperature: Annotated[
        float,
        typer.Option(metavar="X", min=0.0, max=100.0, help="Daring: 0 always takes the likeliest token."),
    ] = 0.8,
    top_p: Annotated[
        float,
        typer.Option(
            metavar="X", min=0.0, max=1.0, help="Draw from the likeliest tokens of this probability."
        ),
    ] = 0.95,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=2**63 - 1, help="The same seed writes the same text."),
    ] = None,
    stream: Annotated[bool, typer.Option(help="Show the text while it is written, or at the end.")] = True,
    tokenizer: TokenizerFile = None,
    base: BaseModel = None,
    device: RunDevice = "cpu",
    as_json: AsJson = False,
) -> None:
    """Let a model go on with a text. A home's newest checkpoint, several homes' average, or an export.

    Example: peer sample "Once upon" --tokens 100 --seed 1
    """
    from peer.models.generate import Drawing, generate
    from peer.models.stream import pieces

    one_source(home, model)
    prompt = prompt.encode(errors="surrogateescape").decode(errors="replace")
    writer, name = _folder(model, device) if model else _replicas(home, tokenizer, base, device)
    given: list[int] = writer.tokenizer.encode(prompt, add_special_tokens=False).ids
    if not given:
        raise UsageError("The prompt is empty", "Begin the text with a word")
    drawing = Drawing(temperature, top_p, secrets.randbelow(2**31) if seed is None else seed)
    written = pieces(writer.tokenizer, given, generate(writer.net, writer.context, given, tokens, drawing))
    if as_json:
        text = "".join(written)
        told = Sample(prompt=prompt, text=text, tokens=tokens, seed=drawing.seed, model=name)
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return
    print(f"{name}, seed {drawing.seed}", file=sys.stderr)
    _show(chain([prompt], written) if stream else [prompt + "".join(written)])


def _folder(folder: Path, device: str) -> "tuple[Loaded, str]":
    from peer.models.loaded import of_folder
    from peer.trainer.device import choose

    return of_folder(folder, choose(device)), str(folder)


def _replicas(
    homes: list[Path] | None, tokenizer: Path | None, base: str | None, device: str
) -> "tuple[Loaded, str]":
    from peer.models.loaded import of_run, put
    from peer.models.replicas import average
    from peer.trainer.device import choose

    replicas = find_replicas(homes, tokenizer=tokenizer, base=base)
    writer = of_run(replicas, choose(device))
    put(average(replicas).weights, writer.net)
    one, *more = replicas.members
    who = f"the average of {len(more) + 1} replicas" if more else one.name
    steps = max(member.counters.inner_step for member in replicas.members)
    return writer, f"{who} of {replicas.manifest.name} ({replicas.run_id[:12]}), inner step {steps:,}"


def _show(parts: Iterable[str]) -> None:
    from peer.models.stream import for_terminal

    for part in parts:
        print(for_terminal(part), end="", flush=True)
    print()
