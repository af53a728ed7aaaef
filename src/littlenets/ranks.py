"""Which of the processes that train one network together this one is. Imports nothing that takes time."""

import os


def helps() -> bool:
    """Whether this process was started to help another one, which writes and prints for both."""
    rank = os.environ.get("LOCAL_RANK", "")
    return rank.isdigit() and int(rank) > 0
