"""The one place where P-256 is refused."""


class Curve:
    """An elliptic curve; named in libp2p's annotations."""


def __getattr__(name: str) -> Curve:
    """Refuse every named curve.

    Raises:
        AttributeError: always; it names the real package.
    """
    message = (
        f"Murmuration's stand-in for fastecdsa has no {name}: "
        "noise needs none, and libp2p's secio needs the real fastecdsa==2.3.2"
    )
    raise AttributeError(message)
