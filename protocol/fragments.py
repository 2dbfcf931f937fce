"""Fragments: which parameters take their outer step together, and when (Streaming DiLoCo, arXiv 2501.18512).

Layers are dealt out in strides, so that each fragment spans the depth of the model. What lies before the
layers goes with the first fragment, what lies after them with the last. In the built-in model these are the
embedding, which is also the output projection, and the last norm; a layer's norms go with it.
"""

from dataclasses import dataclass

from protocol.layout import Layout
from protocol.manifest import Manifest, Model


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment of a model.

    Attributes:
        index: its number, from 0.
        offset: it takes its outer step after inner step t where t mod H is this.
        ranges: its parameters in the flat weights, as (start, stop), ascending.
    """

    index: int
    offset: int
    ranges: tuple[tuple[int, int], ...]

    @property
    def values(self) -> int:
        """Parameters in it."""
        return sum(stop - start for start, stop in self.ranges)


def layer_size(model: Model) -> int:
    """Return the parameters of a layer: four attention projections, three of SwiGLU, two norms."""
    return 4 * model.width**2 + 3 * model.width * model.hidden + 2 * model.width


def layout(manifest: Manifest) -> Layout:
    """Return where the trainable parameters of the manifest's model lie."""
    if manifest.task:
        return manifest.task.layout
    if manifest.model.pretrained:
        return manifest.model.pretrained.layout
    model = manifest.model
    embedding = manifest.tokenizer.vocabulary * model.width
    return Layout(first=embedding, layer=layer_size(model), layers=model.layers, last=model.width)


def fragments(manifest: Manifest) -> tuple[Fragment, ...]:
    """Return the fragments of the manifest's model in the order of their offsets; the last one's is 0."""
    count, every = manifest.outer.fragments, manifest.outer.every
    return tuple(
        Fragment(index, (index + 1) * every // count % every, _ranges(manifest, index))
        for index in range(count)
    )


def due(parts: tuple[Fragment, ...], every: int, inner_step: int) -> Fragment | None:
    """Return the fragment whose outer step follows inner step `inner_step`, counted from 1."""
    return next((part for part in parts if part.offset == inner_step % every), None)


def _ranges(manifest: Manifest, index: int) -> tuple[tuple[int, int], ...]:
    where, count = layout(manifest), manifest.outer.fragments
    end = where.parameters - where.last
    starts = range(where.first + index * where.layer, end, count * where.layer)
    pieces = [(start, start + where.layer) for start in starts]
    if index == 0 and where.first:
        pieces.insert(0, (0, where.first))
    if index == count - 1 and where.last:
        pieces.append((end, end + where.last))
    return _joined(pieces)


def _joined(pieces: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Make one range of those that touch."""
    joined: list[tuple[int, int]] = []
    for start, stop in pieces:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return tuple(joined)
