"""The lines on which a TOML file's keys stand, which `tomllib` does not tell."""

import re

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_BLANK = re.compile(r"(?:\s+|#[^\n]*)+")
_HEADER = re.compile(rf"\[\[?[ \t]*({_DOTTED})[ \t]*\]\]?")
_ASSIGNMENT = re.compile(rf"({_DOTTED})[ \t]*=")
_NAME = re.compile(_KEY)
_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # a text may end in two quotes of its own
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[^\"'#\[\]{}\n]+"
    r"|.",
    re.DOTALL,
)
"""A piece of a value: a string, a comment, plain characters, one bracket, or the end of the line."""

Lines = dict[tuple[str, ...], int]


def locate(text: str) -> Lines:
    """Return the line, counted from 1, of each section and key of a file that `tomllib` accepts.

    The keys of an inline table are not listed: it stands on its own key's line.
    """
    lines: Lines = {(): 1}
    section: tuple[str, ...] = ()
    position, line = 0, 1
    while position < len(text):
        if match := _BLANK.match(text, position):
            end = match.end()
        elif match := _HEADER.match(text, position):
            section, end = _names(match[1]), match.end()
            lines.setdefault(section, line)
        elif match := _ASSIGNMENT.match(text, position):
            path = section + _names(match[1])
            for depth in range(len(section) + 1, len(path) + 1):
                lines.setdefault(path[:depth], line)
            end = _value_end(text, match.end())
        else:
            return lines
        line += text.count("\n", position, end)
        position = end
    return lines


def line_of(lines: Lines, path: tuple[str, ...]) -> int:
    """Return the line of a key, or of the nearest section around it."""
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _value_end(text: str, position: int) -> int:
    depth = 0
    while position < len(text):
        match = _PIECE.match(text, position)
        piece = match[0] if match else text[position]
        if piece == "\n" and depth == 0:
            break
        depth += (piece in "[{") - (piece in "]}")
        position += len(piece)
    return position


def _names(dotted: str) -> tuple[str, ...]:
    # Names with escapes in them are no keys of ours: their line is all that is asked for.
    return tuple(name.strip("\"'") for name in _NAME.findall(dotted))
