"""Points of a curve."""


class Point:
    """A point of an elliptic curve; named in libp2p's annotations."""
