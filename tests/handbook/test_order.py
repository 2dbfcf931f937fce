from handbook.order import navigation


def test_sections_come_in_order_and_their_pages_are_found():
    paths = [
        "glossary.md",
        "errors/100.md",
        "errors/20.md",
        "errors/index.md",
        "how-to/export.md",
        "index.md",
        "tutorial/2-join.md",
        "tutorial/1-swarm.md",
        "something-new/page.md",
    ]
    assert navigation(paths) == [
        "index.md",
        {"Tutorial": ["tutorial/1-swarm.md", "tutorial/2-join.md"]},
        {"How to": ["how-to/export.md"]},
        {"Errors": ["errors/index.md", "errors/20.md", "errors/100.md"]},
        {"Something new": ["something-new/page.md"]},
        "glossary.md",
    ]


def test_folders_in_folders_are_sections_in_sections():
    assert navigation(["reference/api/peer.md", "reference/cli.md"]) == [
        {"Reference": [{"Api": ["reference/api/peer.md"]}, "reference/cli.md"]}
    ]
