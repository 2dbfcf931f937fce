"""Writes a benchmark's record: what was measured, by which commit, on what machine."""

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def write_record(name: str, results: Mapping[str, object], seconds: float) -> Path:
    """Print the record as JSON, and keep it as `benchmarks/records/NAME.json`."""
    record = {
        "benchmark": name,
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": _machine(),
        "command": shlex.join(["python", "-m", f"benchmarks.{_module()}", *sys.argv[1:]]),
        "seconds": round(seconds, 1),
        "results": results,
    }
    text = json.dumps(record, indent=2) + "\n"
    path = ROOT / "benchmarks" / "records" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(text, end="")
    return path


def _module() -> str:
    script = Path(sys.argv[0])
    return script.parent.name if script.stem == "__main__" else script.stem


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _machine() -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
