"""The houses that a switch joins, as its command line names them."""

from dataclasses import dataclass

from peer.links.ladder import LADDER, Link


@dataclass(frozen=True, slots=True)
class House:
    """Who is to be reached, and how well.

    Attributes:
        name: its host name.
        link: its line, as it sees it.
        ports: where it listens, and where the switch does for it.
    """

    name: str
    link: Link
    ports: tuple[int, ...]


def house(text: str) -> House:
    """Read `NAME=LINK:PORT,PORT`.

    Raises:
        ValueError: saying what is wrong with it.
    """
    name, separator, line = text.partition("=")
    link, colon, ports = line.partition(":")
    if not (name and separator and colon):
        raise ValueError(f"{text!r} is not of the form NAME=LINK:PORT,PORT")
    if link not in LADDER:
        raise ValueError(f"{link!r}, in {text!r}, is none of the links {', '.join(LADDER)}")
    numbers = ports.split(",")
    if not all(each.isdecimal() and 0 < int(each) < 65536 for each in numbers):
        raise ValueError(f"{ports!r}, in {text!r}, are no ports")
    return House(name, LADDER[link], tuple(map(int, numbers)))
