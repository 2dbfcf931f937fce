"""The one way in which bytes from outside can be wrong."""


class ProtocolError(Exception):
    """Bytes that break the protocol: too long, not of the schema, or not signed by whom they name."""
