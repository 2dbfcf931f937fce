"""The SEC 1 encoding of public keys."""


class SEC1Encoder:
    """Imported by libp2p; it is not reached without a curve."""
