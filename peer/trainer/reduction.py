"""A group's average: our share in parts, the mean of one part, and the means of all put together."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from peer.codec.base import CodecError
from peer.codec.feedback import Feedback
from peer.codec.registry import get
from peer.outer import redo
from peer.outer.gate import check
from peer.outer.group import weighted_mean
from peer.outer.rule import Rule
from peer.outer.step import OuterState, Shared
from peer.trainer import spool
from peer.trainer.replica import FEEDBACK_CODEC
from peer.trainer.shares import PLAIN, OpenShare, RefusalError, Split
from protocol.trainer import Blob, Member

Part = tuple[int, int]


def own_step(rule: Rule, share: OpenShare) -> OuterState:
    """Return φ and m as our own outer step made them.

    Raises:
        RefusalError: the share is one for pairs.
    """
    before, theta = _began(share)
    return redo.redo(rule, before, theta - before.phi)


def split(
    rule: Rule, share: OpenShare, parts: int, codec: str, residual: Tensor | None, *, together: bool
) -> Split:
    """Decide what of our share a group averages, and in which parts.

    Where all began the step alike it is the fast weights, sent as their difference from what all began with:
    that is small, so every codec is more exact on it. Else it is φ and m after the step.

    Args:
        rule: the run's outer rule.
        share: ours.
        parts: how many.
        codec: how they are to be written.
        residual: of the fragment, compact, what earlier shares left out; None without error feedback.
        together: whether all began alike.

    Raises:
        RefusalError: the codec is for those who began alike, or there are more parts than values.
    """
    before, theta = _began(share)
    if not together and codec not in PLAIN:
        raise RefusalError(f"{codec} is of use only where all began alike", ours=True)
    values = theta.numel()
    if parts > values:
        raise RefusalError(f"{values} values cannot be split into {parts} parts", ours=True)
    ranges = tuple(pairwise(part * values // parts for part in range(parts + 1)))
    if together:
        return Split(codec, ranges, (theta,), before.phi, None if residual is None else residual.clone())
    after = own_step(rule, share)
    return Split(codec, ranges, (after.phi, after.momentum), None)


def write_part(cut: Split, part: Part, target: Path) -> Blob:
    """Write our own part to a new file; with error feedback, keep what it leaves out.

    Raises:
        CodecError: a value is not finite.
        OSError: the disk refused.
    """
    tensors = _coded(cut, part)
    if cut.residual is None or cut.codec != FEEDBACK_CODEC:
        return spool.write(target, get(cut.codec), tensors)
    feedback = Feedback(0)
    feedback.residual = cut.residual[slice(*part)]
    data, _ = feedback.encode(get(cut.codec), tensors[0])
    return spool.write_bytes(target, (data,))


def read_part(rule: Rule, cut: Split, part: Part, codec: str, file: Path) -> Shared:
    """Read a part as a member or a reducer wrote it, and check it against ours.

    Raises:
        RefusalError: it is not fit to be mixed with ours.
        OSError: the file cannot be read.
    """
    ours = tuple(tensor[slice(*part)] for tensor in cut.mine)
    coded = tuple(torch.empty_like(tensor) for tensor in ours)
    try:
        spool.read(file, get(codec), coded)
    except CodecError as error:
        raise RefusalError(str(error)) from error
    theirs = coded if cut.base is None else (cut.base[slice(*part)] + coded[0],)
    if (reason := check(_naming(rule, cut), ours, theirs)) is not None:
        raise RefusalError(reason)
    return coded


def average(
    rule: Rule, cut: Split, part: Part, members: Sequence[tuple[Member, Path]], target: Path
) -> tuple[Blob | None, tuple[int, ...]]:
    """Average one part over the members whose part is fit, and write it.

    Returns:
        The average, None where there is nothing to average; and the members that were left out, by place.

    Raises:
        OSError: the disk refused.
    """
    fit: list[Shared] = []
    weights: list[float] = []
    refused: list[int] = []
    for place, (member, file) in enumerate(members):
        try:
            fit.append(read_part(rule, cut, part, cut.codec, file))
            weights.append(member.weight)
        except RefusalError:
            refused.append(place)
    if not fit or not 0 <= sum(weights) < math.inf or min(weights) < 0:
        return None, tuple(refused)
    if not any(weights):  # newcomers alone
        weights = [1.0] * len(fit)
    mean = tuple(weighted_mean(tensors, weights) for tensors in zip(*fit, strict=True))
    return spool.write(target, get(cut.average_codec), mean), tuple(refused)


def assemble(rule: Rule, share: OpenShare, cut: Split, files: Sequence[Path]) -> tuple[OuterState, Tensor]:
    """Put the averages of all parts together.

    Returns:
        φ and m that every member ends the outer step with; and the group's mean of the first tensor that it
        averaged, θ or φ, for the distance to it.

    Raises:
        RefusalError: they are not one for each part, or one of them is not fit. Where half of them are not,
            it is more likely we who are far from the others.
        OSError: a file cannot be read.
    """
    if len(files) != len(cut.ranges):
        raise RefusalError(f"there are {len(files)} averages for {len(cut.ranges)} parts", ours=True)
    read: list[Shared] = []
    refused: list[str] = []
    for number, (part, file) in enumerate(zip(cut.ranges, files, strict=True)):
        try:
            read.append(read_part(rule, cut, part, cut.average_codec, file))
        except RefusalError as refusal:
            refused.append(f"the average of part {number}: {refusal}")
    if refused:
        most = 2 * len(refused) >= len(files)
        raise RefusalError(f"{len(refused)} of {len(files)} averages, {refused[0]}" if most else refused[0])
    mean = tuple(torch.cat(tensors) for tensors in zip(*read, strict=True))
    if cut.base is None:
        return OuterState(phi=mean[0], momentum=mean[1]), mean[0]
    before, _ = _began(share)
    return redo.redo(rule, before, mean[0]), cut.base + mean[0]


def _began(share: OpenShare) -> tuple[OuterState, Tensor]:
    if share.before is None or share.theta is None:
        raise RefusalError("our share is one for pairs", ours=True)
    return share.before, share.theta


def _coded(cut: Split, part: Part) -> Shared:
    """Return what is written of our own part."""
    ours = tuple(tensor[slice(*part)] for tensor in cut.mine)
    return ours if cut.base is None else (ours[0] - cut.base[slice(*part)],)


def _naming(rule: Rule, cut: Split) -> Rule:
    """Return the rule with the names of what is averaged here, for the check's reasons."""
    return replace(rule, shares=("phi", "momentum") if cut.base is None else ("theta",))
