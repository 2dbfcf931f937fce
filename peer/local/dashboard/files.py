"""The folder that both programs are started on: configuration, rules, boards, and what they remember."""

import shutil
from pathlib import Path

from peer.errors import HomeError

_HERE = Path(__file__).parent

INTERVAL = "5s"
"""Between two readings of a peer: the peers are on this machine, and a person is watching."""

_CONFIG = f"""\
global: {{scrape_interval: {INTERVAL}, evaluation_interval: {INTERVAL}}}
rule_files: [rules/*.yml]
scrape_configs:
  - job_name: murmuration
    file_sd_configs:
      - {{files: [targets.json], refresh_interval: {INTERVAL}}}
"""


def prepare(folder: Path) -> None:
    """Write everything but the targets; what the programs remembered stays.

    Raises:
        HomeError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in ("rules", "dashboards", "provisioning"):
            shutil.copytree(_shipped(part), folder / part, dirs_exist_ok=True)
        for kept in ("prometheus-data", "grafana-data"):
            (folder / kept).mkdir(exist_ok=True)
        (folder / "prometheus.yml").write_text(_CONFIG, encoding="utf-8")
    except OSError as error:
        raise HomeError(f"Cannot write {folder} ({error.strerror})", "Name another with --folder") from error


def _shipped(part: str) -> Path:
    """Return where rules or boards lie: beside us where we are installed, in `deploy` in a checkout."""
    installed = _HERE / part
    if installed.is_dir():
        return installed
    kind = "prometheus" if part == "rules" else "grafana"
    return _HERE.parents[2] / "deploy" / kind / part
