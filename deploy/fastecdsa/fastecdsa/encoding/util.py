"""Lengths of integers."""


def int_bytelen(number: int) -> int:
    """Return how many bytes hold a non-negative `number`."""
    return (number.bit_length() + 7) // 8
