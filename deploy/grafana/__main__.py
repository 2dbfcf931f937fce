"""Writes the boards as Grafana reads them: `python -m deploy.grafana`."""

import json
from pathlib import Path

from deploy.grafana.layout import Board, as_json
from deploy.grafana.peer import PEER_BOARD
from deploy.grafana.swarm import SWARM

FOLDER = Path(__file__).parent / "dashboards"
BOARDS = {"swarm": SWARM, "peer": PEER_BOARD}


def written(board: Board) -> str:
    """Return the text of a board's file."""
    return json.dumps(as_json(board), indent=2) + "\n"


def main() -> None:
    """Write the files."""
    for name, board in BOARDS.items():
        (FOLDER / f"{name}.json").write_text(written(board), encoding="utf-8")


if __name__ == "__main__":
    main()
