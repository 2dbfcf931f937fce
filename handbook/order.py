"""The order of the site's pages, from their paths alone: whoever adds a page lists it nowhere."""

import re

SECTIONS = {
    "tutorial": "Tutorial",
    "how-to": "How to",
    "explanation": "Explanation",
    "reference": "Reference",
    "runbooks": "Runbooks",
    "errors": "Errors",
}
"""Folders and the titles of their tabs, in order. A folder that is not named here comes after them."""

Entry = str | dict[str, "list[Entry]"]


def navigation(paths: list[str]) -> list[Entry]:
    """Return mkdocs' `nav` of pages such as `how-to/plan.md`: each folder a section, its index first."""
    return _level([path.split("/") for path in paths], "")


def _level(paths: list[list[str]], prefix: str) -> list[Entry]:
    pages = sorted((path[0] for path in paths if len(path) == 1), key=_page_order)
    folders = sorted({path[0] for path in paths if len(path) > 1}, key=_folder_order)
    # The first page of all leads the site; what else lies beside it, such as the glossary, comes last.
    entries: list[Entry] = [prefix + page for page in pages if page == "index.md"]
    for folder in folders:
        inside = [path[1:] for path in paths if path[0] == folder and len(path) > 1]
        title = SECTIONS.get(folder, folder.replace("-", " ").capitalize())
        entries.append({title: _level(inside, f"{prefix}{folder}/")})
    return entries + [prefix + page for page in pages if page != "index.md"]


def _page_order(name: str) -> tuple[int, str]:
    number = re.match(r"\d+", name)
    return (int(number[0]) if number else 10_000, name)


def _folder_order(name: str) -> tuple[int, str]:
    known = list(SECTIONS)
    return (known.index(name) if name in known else len(known), name)
