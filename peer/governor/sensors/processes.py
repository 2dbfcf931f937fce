"""Which processes are this program's own, and what the others are called."""

import os
from itertools import pairwise
from pathlib import Path

import psutil

TRAINER = "peer.trainer"
"""Names the trainer of any peer in its command line: peers that share a GPU make no room for each other."""

LONGEST_NAME = 60


def is_ours(pid: int) -> bool:
    """Whether a process is this daemon, what it started, or another peer's trainer or a rank of that."""
    try:
        if pid == os.getppid():  # the program that runs this peer, such as a notebook
            return True
        process = psutil.Process(pid)
        family = [process, *process.parents()]
    except psutil.Error:
        return False
    return any(each.pid == os.getpid() or _trains(each) for each in family)


def _trains(process: psutil.Process) -> bool:
    try:
        return TRAINER in process.cmdline()
    except psutil.Error:
        return False


def name_of(pid: int) -> str | None:
    """Return what a person calls a process: its name, and the script where it is an interpreter's.

    None where it has ended, or runs where we cannot see it: outside our container.
    """
    try:
        process = psutil.Process(pid)
        name = process.name()
    except psutil.Error:
        return None
    if name.startswith("python"):
        name = f"{name} {_script(process)}".strip()
    return name[:LONGEST_NAME]


def _script(process: psutil.Process) -> str:
    try:
        words = process.cmdline()[1:]
    except psutil.Error:
        return ""
    for word, after in pairwise([*words, ""]):
        if word in ("-m", "-c"):
            return after if word == "-m" else ""
        if not word.startswith("-"):
            return Path(word).name
    return ""


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process and what it started take; 0 where it has ended."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_resident(each) for each in family)


def own_memory() -> int:
    """Return the bytes of memory that this process takes, without what it started."""
    return _resident(psutil.Process())


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
