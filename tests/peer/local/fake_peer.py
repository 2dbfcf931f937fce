"""A peer process without a network: a script in this interpreter's place, which does what it is told."""

import os
import stat
import sys
from pathlib import Path

MOST = 3

SCRIPT = """#!{python} -u
import os, signal, sys
arguments = sys.argv[1:]
name = os.path.basename(arguments[arguments.index("--home") + 1])
print("started with", *arguments, "threads", os.environ["OMP_NUM_THREADS"])

def say_ready():
    # Held open, so that nobody has to listen yet.
    os.write(os.open(os.path.join(os.path.dirname(sys.argv[0]), name), os.O_RDWR), b"ready")

{behaviour}
"""

WAITS = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
say_ready()
sys.stdin.read()
print("nobody is left")
"""

STUBBORN = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
say_ready()
while True:
    signal.pause()
"""

FAILS = """
print("peer: the device is not there. Use another", file=sys.stderr)
sys.exit(41)
"""

ENDS = "sys.exit(0)"


def install(folder: Path, monkeypatch, behaviour: str) -> None:
    """Let every process that is started from now on behave like this; `folder` holds what that needs."""
    script = folder / "python"
    script.write_text(SCRIPT.format(python=sys.executable, behaviour=behaviour))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(script))
    for index in range(MOST):
        os.mkfifo(folder / f"peer-{index}")


def wait_until_ready(folder: Path, name: str) -> None:
    """Wait until the peer has set its signals up."""
    with (folder / name).open("rb", buffering=0) as pipe:
        assert pipe.read(5) == b"ready"
