"""Sizes that follow from the manifest alone, so that what a stranger announces is bounded beforehand."""

from protocol.manifest import Manifest

FP32_BYTES = 4
SHARED_TENSORS = {"noloco": 1, "gossip": 2, "solo": 0}
"""Tensors of all parameters that one share of a preset holds."""

SLACK = 4096
"""Bytes that a codec may add to what it codes."""


def parameters(manifest: Manifest) -> int:
    """Return the number of trainable parameters of the manifest's model.

    Embedding (tied), then for each layer four attention projections, three SwiGLU projections and two norms,
    then the last norm.
    """
    model = manifest.model
    layer = 4 * model.width**2 + 3 * model.width * model.hidden + 2 * model.width
    return manifest.tokenizer.vocabulary * model.width + model.layers * layer + model.width


def state_bytes(manifest: Manifest) -> int:
    """Return the bytes of a donor's state: slow weights and outer momentum in fp32."""
    return 2 * FP32_BYTES * parameters(manifest)


def largest_share(manifest: Manifest) -> int:
    """Return the most bytes that a share can have: fp32 is the longest codec."""
    tensors = SHARED_TENSORS[manifest.outer.preset]
    return tensors * (FP32_BYTES * parameters(manifest) + SLACK)
