"""The fields of a value's class as its source tells them: name, type and what stands below each."""

import ast
import inspect
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, its type in words of the source, its default or None, and its meaning."""

    name: str
    kind: str
    default: str | None
    meaning: str


def fields_of(kind: type) -> list[Field]:
    """Return the fields that a class itself declares, in order."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    if not isinstance(tree, ast.ClassDef):
        raise TypeError(f"{kind.__name__} is no class")
    found: list[Field] = []
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = None if node.value is None else ast.unparse(node.value)
            found.append(Field(node.target.id, _kind(node.annotation), default, _text(after)))
    return found


def _kind(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated":
        base, *extras = node.slice.elts if isinstance(node.slice, ast.Tuple) else (node.slice,)
        bounds = [
            f"{_SIGNS.get(word.arg or '', word.arg)} {ast.unparse(word.value)}"
            for extra in extras
            if isinstance(extra, ast.Call)
            for word in extra.keywords
        ]
        return ", ".join([_kind(base), *bounds])
    return ast.unparse(node)


_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}


def _text(node: ast.stmt | None) -> str:
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return " ".join(node.value.value.split())
    return ""


def table(fields: list[Field]) -> str:
    """Return a Markdown table, or a sentence where there is no field."""
    if not fields:
        return "It has no fields."
    rows = [f"| `{field.name}` | {code(field.kind)} | {_meaning(field)} |" for field in fields]
    return "\n".join(["| field | type | |", "|---|---|---|", *rows])


def _meaning(field: Field) -> str:
    return field.meaning.replace("|", "\\|")


def code(text: str) -> str:
    """Return text as code that may stand in a table."""
    return f"`{text}`".replace("|", "\\|")


def doc(thing: object) -> str:
    """Return what a class or module says of itself, its paragraphs kept and their lines joined."""
    paragraphs = inspect.cleandoc(getattr(thing, "__doc__", None) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
