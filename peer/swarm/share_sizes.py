"""How many bytes a share may have, and what goes with it, from the manifest alone."""

from peer.codec.formats import FORMATS, MODULO, blocks_size, bounds_size, failed_size, modulo_size
from protocol.fragments import fragments
from protocol.manifest import Manifest
from protocol.sizes import SLACK


class ShareSizes:
    """Bounds on what strangers announce, checked before a byte of it comes."""

    def __init__(self, manifest: Manifest) -> None:
        self._values = tuple(part.values for part in fragments(manifest))

    @property
    def fragments(self) -> int:
        """Into how many fragments the model is cut."""
        return len(self._values)

    def encoded(self, fragment: int, codec: str, bits: int) -> int:
        """Return the bytes that a share takes, about: `bits` counts where the codec is `modulo`."""
        values = self._values[fragment]
        if codec == MODULO.name:
            return modulo_size(values, bits)
        return FORMATS[codec].encoded_size(values)

    def body(self, fragment: int, codec: str) -> int:
        """Return the most bytes that a share can have."""
        return FORMATS[codec].encoded_size(self._values[fragment]) + SLACK

    def bounds(self, fragment: int) -> int:
        """Return the most bytes that bounds can have."""
        return bounds_size(self._values[fragment]) + SLACK

    def failed(self, fragment: int) -> int:
        """Return the most bytes that a list of failed blocks can have."""
        return failed_size(self._values[fragment]) + SLACK

    def again(self, fragment: int, blocks: int) -> int:
        """Return the most bytes that so many blocks can have when they are sent again."""
        return blocks_size(self._values[fragment], blocks) + SLACK
