"""What other processes are doing, seen from outside."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

# Longer than anything here takes on a busy machine.
PATIENCE = 120


def wait_for(look: Callable[[], Found]) -> Found:
    """Calls until it gives something that counts as true, and returns that."""
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return found


def users_of(path: Path) -> set[int]:
    """The ids of the processes that have a file open, or one below a folder."""
    users = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = Path(os.readlink(link))
        except OSError:
            continue  # it has gone
        if target == path or path in target.parents:
            users.add(int(link.parts[2]))
    return users


def descendants(process: int) -> set[int]:
    """The ids of a process's children, and of theirs."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything.
            parents[int(stat.parts[2])] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {process}
    while new := {child for child, parent in parents.items() if parent in found} - found:
        found |= new
    return found - {process}


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
