"""What mkdocs calls while it builds the site; mkdocs.yml names this file.

Pages name what is generated in a line of their own, `<!-- generated: NAME -->`; the pages of the error
catalogue are made whole. The rest of `handbook` is imported late: the command `mkdocs` has not our folder on
its path.
"""

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_MARK = re.compile(r"^(?:\*.*\* )?<!-- generated: ([\w-]+) -->$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let the rest be imported, and the program itself from this checkout."""
    root = str(Path(config.config_file_path).parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each number of the error catalogue, and put all pages in order."""
    from handbook import errors
    from handbook.order import navigation

    for number, text in errors.pages().items():
        files.append(File.generated(config, f"errors/{number}.md", content=text))
    config.nav = navigation([file.src_uri for file in files.documentation_pages()])
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put what is generated in the place of its marks."""
    from handbook.generated import GENERATED

    def write(mark: re.Match[str]) -> str:
        if mark[1] not in GENERATED:
            raise PluginError(f"{page.file.src_uri}: nothing is generated as {mark[1]!r}")
        return GENERATED[mark[1]]()

    return _MARK.sub(write, markdown)
