"""The script of docs/how-to/python.md does what the page says, on real peers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "python.md"


def test_the_script_of_the_page_trains_two_peers_and_takes_their_average_out(tmp_path):
    (script,) = re.findall(r'```python title="two_peers.py"\n(.*?)```', PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "two_peers.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "two_peers.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    joining, first, second, *exchanges, _, _, average = done.stdout.splitlines()
    assert re.fullmatch(
        r"others join with: peer start --bootstrap /ip4/127\.0\.0\.1/tcp/\d+/p2p/\w+", joining
    )
    for name, line in (("first", first), ("second", second)):
        found = re.fullmatch(rf"{name}: step (\d+), loss (\d\.\d+)", line)
        assert found, line
        assert int(found[1]) >= 200
        assert float(found[2]) < 4.0
    assert exchanges
    assert all(line.startswith("exchange with ") for line in exchanges)
    assert re.fullmatch(r"their average: [23]\.\d+ nats a token on held-out text", average)
    assert sum(each.numel() for each in load_file(tmp_path / "my-model/model.safetensors").values()) > 50_000
    # Every process has ended: whoever still ran would hold its home.
    assert not list((tmp_path / "swarm").glob("*/runtime"))
