"""Where the parameters of any module lie in its flat weights, found by the numbers in their names."""

import re
from itertools import groupby

from torch import nn

from peer.trainer.flat import trainable
from protocol.layout import Layout

_LAYER = re.compile(r"\.(\d+)\.")


def layout_of(module: nn.Module) -> Layout:
    """Return the layout of the module's trainable parameters.

    A layer is what has the first number in its parameters' names in common. Where layers differ in size, or
    do not lie one after the other, all is one layer, and the model cannot be cut into fragments.
    """
    sizes = [(_layer(name), each.numel()) for name, each in trainable(module).items()]
    parts = [
        (layer, sum(size for _, size in group)) for layer, group in groupby(sizes, key=lambda part: part[0])
    ]
    first = parts.pop(0)[1] if parts[0][0] is None else 0
    last = parts.pop()[1] if parts and parts[-1][0] is None else 0
    in_order = [layer for layer, _ in parts] == list(range(len(parts)))
    if not parts or not in_order or len({size for _, size in parts}) > 1:
        return Layout(layer=sum(size for _, size in sizes))
    return Layout(first=first, layer=parts[0][1], layers=len(parts), last=last)


def _layer(name: str) -> int | None:
    found = _LAYER.search(name)
    return int(found[1]) if found else None
