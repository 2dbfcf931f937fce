"""Sizes that follow from the manifest alone, so that what a stranger announces is bounded beforehand."""

from protocol.fragments import layer_size, layout
from protocol.manifest import Manifest, Model

FP32_BYTES = 4
MOST_SHARED = 2
"""Tensors of all parameters that one share may hold: weights and momentum."""

SLACK = 4096
"""Bytes that a codec may add to what it codes."""


def parameters(manifest: Manifest) -> int:
    """Return the number of trainable parameters of the manifest's model."""
    return layout(manifest).parameters


def model_parameters(model: Model, vocabulary: int) -> int:
    """Return the parameters of a built-in model: embedding (tied), then the layers, then the last norm."""
    return vocabulary * model.width + model.layers * layer_size(model) + model.width


def state_bytes(manifest: Manifest) -> int:
    """Return the bytes of a donor's state: slow weights and outer momentum in fp32."""
    return 2 * FP32_BYTES * parameters(manifest)


def largest_weights(manifest: Manifest) -> int:
    """Return the most bytes that a file of first weights can have: 64-bit floats, and a long header."""
    return 2 * FP32_BYTES * parameters(manifest) + (1 << 20)
