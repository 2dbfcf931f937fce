"""`peer plan`: what a run would take and bring, before anybody joins it."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from peer.cli.init import write_new
from peer.cli.options import AsJson, Force
from peer.cli.plan_check import show_check
from peer.cli.swarm import Preset
from peer.config.run_file import NO_FOUNDER, read_run_file
from peer.errors import UsageError
from peer.plan.choose import choose
from peer.plan.devices import MFU, find_device
from peer.plan.fragment import run_file
from peer.plan.laws import TOKENS_A_PARAMETER
from peer.plan.plot import check_extra, draw
from peer.plan.question import Choice, Link, Power, Question
from peer.plan.reckon import Plan, reckon
from peer.plan.run import choice_of, foreign_model, question_of
from peer.plan.shape import shape
from peer.plan.text import as_text, differences, doubts
from peer.units import count, duration, rate, size
from protocol.manifest import Manifest, Outer, Tokenizer
from protocol.sizes import parameters

USUAL_PEERS = 8
BYTES, LAWS_VOCABULARY = 256, 32768
SMALLEST, LARGEST = 2e4, 1e12

HOME_LINE = Link(up=20e6 / 8, down=100e6 / 8, round_trip=0.1)
"""Where no line is named: 20 Mbit/s up, 100 Mbit/s down, 100 ms."""

BYTES_BELOW = 10e6
"""Parameters below which a tokenizer's embedding would be most of the model."""


OF_PARAMS = {"--preset", "--context", "--vocabulary"}
"""Options that say what a run file and a home know."""

OF_CHECK = {
    *("--check", "--peers", "--device", "--flops", "--mfu", "--watts", "--up", "--down", "--rtt"),
    *("--plot", "--json"),
}
"""Options that mean something beside `--check`."""


def plan(
    command: typer.Context,
    params: Annotated[
        float | None, typer.Option(metavar="NUMBER", parser=count, help="Parameters, such as 160M or 1.3B.")
    ] = None,
    run: Annotated[Path | None, typer.Option(metavar="FILE", help="Plan this run.toml instead.")] = None,
    check: Annotated[
        Path | None,
        typer.Option(metavar="HOME", help="Set the plan of a home's run beside what it measured."),
    ] = None,
    peers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=10000, help="How many train; default 8, or as many as it met."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help='What each trains on, such as "rtx 4090".')
    ] = None,
    flops: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", parser=count, help="Its peak, FLOP/s dense, such as 165T."),
    ] = None,
    mfu: Annotated[
        float | None,
        typer.Option(
            metavar="X", min=0.01, max=1.0, help=f"What part of its peak it reaches; default {MFU}."
        ),
    ] = None,
    watts: Annotated[
        float | None, typer.Option(metavar="WATTS", min=0.1, help="What each draws while it trains.")
    ] = None,
    up: Annotated[
        float | None, typer.Option(metavar="RATE", parser=rate, help="A peer's line out; default 20Mbit.")
    ] = None,
    down: Annotated[
        float | None, typer.Option(metavar="RATE", parser=rate, help="A peer's line in; default 100Mbit.")
    ] = None,
    rtt: Annotated[
        float | None,
        typer.Option(metavar="TIME", parser=duration, help="There and back between peers; default 100ms."),
    ] = None,
    tokens: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER", parser=count, help="To train on, of all peers; default 20 a parameter."
        ),
    ] = None,
    preset: Annotated[Preset | None, typer.Option(help="The outer rule; default gossip.")] = None,
    context: Annotated[
        int, typer.Option(metavar="N", min=8, max=131072, help="Tokens of a sequence.")
    ] = 2048,
    vocabulary: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=2, help="Tokens of the tokenizer; default 32,768, or 256 for small models."
        ),
    ] = None,
    monthly: Annotated[
        float | None, typer.Option(metavar="SIZE", parser=size, help="The most that a peer may send a month.")
    ] = None,
    price: Annotated[
        float | None, typer.Option(metavar="PRICE", min=0.0, help="Of a kWh, in your money.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it into this PNG: loss, and traffic.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plan's run.toml; default: print it.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Reckon what a run takes, before it is founded.

    H, codec, batch, learning rates, loss, pace, traffic and energy.

    Example: peer plan --params 160M --peers 16 --device "rtx 4090" --up 20Mbit --down 100Mbit --rtt 100ms
    """
    _one_of(params, run, check)
    if run is not None:
        _refuse("--run", _given(command) & OF_PARAMS)
    if check is not None:
        _refuse("--check", _given(command) - OF_CHECK)
    if plot is not None:
        check_extra()
    power = _power(device, flops, mfu, watts)
    if check is not None:
        line = _line(up, down, rtt) if up or down or rtt is not None else None
        show_check(check, peers, power, line, plot, as_json=as_json)
        return
    draft = _read(run) if run else _draft(params or 0.0, preset, context, vocabulary)
    question = question_of(
        draft,
        peers or USUAL_PEERS,
        tokens=tokens or (None if run else TOKENS_A_PARAMETER * parameters(draft)),
        power=power,
        link=_line(up, down, rtt),
        monthly=monthly,
    )
    suggested = choose(question)
    chosen = choice_of(draft) if run else suggested
    made = reckon(question, chosen)
    if as_json:
        _print_json(question, chosen, suggested, made)
    else:
        print(as_text(question, chosen, made, price))
        if run:
            print(differences(question, chosen, suggested))
    _give(question, suggested, plot, write, force=force, quiet=as_json or run is not None)


def _one_of(params: float | None, run: Path | None, check: Path | None) -> None:
    given = [name for name, value in (("--params", params), ("--run", run), ("--check", check)) if value]
    if len(given) != 1:
        what = f"{' and '.join(given)} name different runs" if given else "Nothing says what to plan"
        raise UsageError(what, "Give one of --params 160M, --run run.toml and --check HOME")


def _given(command: typer.Context) -> set[str]:
    """Return the options that were typed, with a value of any kind."""
    sources = ((each, command.get_parameter_source(each.name or "")) for each in command.command.params)
    return {each.opts[0] for each, source in sources if source is not None and source.name == "COMMANDLINE"}


def _refuse(base: str, unused: set[str]) -> None:
    if unused:
        names = " and ".join(sorted(unused))
        raise UsageError(f"{base} has no use for {names}", f"Leave out {names}")


def _power(device: str | None, flops: float | None, mfu: float | None, watts: float | None) -> Power | None:
    if device is None and flops is None:
        return None
    known = find_device(device) if device else None
    return Power(
        flops=flops or (known.teraflops * 1e12 if known else 0.0),
        mfu=mfu or MFU,
        watts=watts or (known.watts if known else None),
        assumed=mfu is None,
        memory=known.gigabytes * 1e9 if known and known.gigabytes else None,
        device=known.name if known else None,
    )


def _line(up: float | None, down: float | None, rtt: float | None) -> Link:
    return Link(
        up=up or HOME_LINE.up,
        down=down or HOME_LINE.down,
        round_trip=HOME_LINE.round_trip if rtt is None else rtt,
    )


def _read(run: Path) -> Manifest:
    file = read_run_file(run)
    if file.task or file.base:
        raise foreign_model("task" if file.task else "base")
    return file.draft


def _draft(params: float, preset: Preset | None, context: int, vocabulary: int | None) -> Manifest:
    """Return the run that so many parameters stand for, by nobody yet."""
    if not SMALLEST <= params <= LARGEST:
        raise UsageError(f"No model has {params:,.0f} parameters here", "Give --params between 20k and 1T")
    known = vocabulary or (BYTES if params < BYTES_BELOW else LAWS_VOCABULARY)
    return Manifest(
        model=shape(params, known, context),
        tokenizer=Tokenizer(kind="bytes" if known == BYTES else "file", vocabulary=known),
        outer=Outer() if preset is None else msgspec.convert({"preset": preset.value}, Outer),
        founder=NO_FOUNDER,
    )


def _print_json(question: Question, chosen: Choice, suggested: Choice, made: Plan) -> None:
    told = {
        "plan": made,
        "choice": asdict(chosen),
        "suggested": asdict(suggested),
        "doubts": doubts(question, chosen, made),
        "run_file": run_file(question, suggested),
    }
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")


def _give(
    question: Question, chosen: Choice, plot: Path | None, write: Path | None, *, force: bool, quiet: bool
) -> None:
    """Draw the plot that was asked for, and print or write the plan's run file."""
    if plot is not None:
        draw(question, chosen, plot)
        print(f"{plot} drawn", file=sys.stderr)
    text = run_file(question, chosen)
    if write is not None:
        write_new(write, text, force=force)
        print(f"{write} written. Found a run from it: peer start --run {write}", file=sys.stderr)
    elif not quiet:
        print(f"\nrun.toml of this plan (--write run.toml keeps it):\n\n{text}", end="")
