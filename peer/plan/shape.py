"""A model's shape from its size, and what one token of it costs."""

from math import log

from protocol import sizes
from protocol.fragments import layer_size
from protocol.manifest import Manifest, Model
from protocol.sizes import FP32_BYTES, model_parameters

HEAD = 64
"""Channels of an attention head."""

ASPECT = 64
"""Channels a layer, as in GPT-2 and the models of the scaling laws."""

TENSORS = 7
"""Of all parameters, in fp32, that a trainer holds: weights, slow weights, outer momentum, gradients, two of
the inner optimiser, and what it encodes."""


def shape(parameters: float, vocabulary: int, context: int) -> Model:
    """Return the shape whose size is nearest to so many parameters, and whose proportions are usual."""
    shapes = (_shape(width, parameters, vocabulary, context) for width in range(HEAD, 16384 + 1, HEAD))
    return min(shapes, key=lambda model: _oddness(model, parameters, vocabulary))


def _shape(width: int, parameters: float, vocabulary: int, context: int) -> Model:
    hidden = max(HEAD, HEAD * round(8 * width / 3 / HEAD))
    model = Model(layers=1, width=width, heads=width // HEAD, hidden=hidden, context=context)
    layers = round((parameters - (vocabulary + 1) * width) / layer_size(model))
    layers = min(256, max(1, layers))
    return Model(layers=layers, width=width, heads=width // HEAD, hidden=hidden, context=context)


def _oddness(model: Model, parameters: float, vocabulary: int) -> float:
    off = abs(log(model_parameters(model, vocabulary) / parameters))
    return 10 * off + abs(log(model.width / (ASPECT * model.layers)))


def flops_a_token(model: Model, vocabulary: int) -> float:
    """Return the floating-point operations of training on one token, forwards and backwards.

    6N (Kaplan et al., arXiv 2001.08361, section 2.1), and 12·layers·width·context for attention (PaLM,
    2204.02311, appendix B). The tied embedding counts in N once: as the output projection.
    """
    return 6.0 * model_parameters(model, vocabulary) + 12.0 * model.layers * model.width * model.context


def memory(parameters: float) -> float:
    """Return the bytes that a trainer takes on its device, activations aside."""
    return float(FP32_BYTES * TENSORS * parameters)


def trainer_memory(manifest: Manifest) -> int:
    """Return the same for a run: beside adapters lies the whole model that they adapt."""
    base = manifest.model.pretrained
    frozen = base.size if base and base.lora is not None else 0
    return int(memory(sizes.parameters(manifest))) + frozen
