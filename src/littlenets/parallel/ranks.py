"""Which of several processes this one is, where somebody else has started them. Imports nothing that takes time."""

import os

# What torchrun, SLURM and Lightning itself tell a process; 0, or nothing, in all of them is the first process.
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
_SLURM = "SLURM_PROCID"
_LAUNCHERS = {"TORCHELASTIC_RUN_ID": "torchrun", "LOCAL_RANK": "somebody (LOCAL_RANK is set)"}


def follows() -> bool:
    """Return whether this process is another than the first of a run: it trains, but writes and prints nothing."""
    return rank_variable() is not None


def rank_variable() -> str | None:
    """Return the variable that says so, with its value; None in the first process of a run."""
    names = (*_RANKS, _SLURM) if _is_task_of_slurm() else _RANKS
    return next((f"{name}={rank}" for name in names if (rank := os.environ.get(name, "")) not in ("", "0")), None)


def started_by() -> str | None:
    """Return who has started this process as one of several, in words; None where it was started alone."""
    return next((name for variable, name in _LAUNCHERS.items() if variable in os.environ), None)


def _is_task_of_slurm() -> bool:
    """Return whether srun has started several tasks, of which this is one. An interactive shell is none."""
    several = os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1" and os.environ.get("SLURM_NTASKS", "1") != "1"
    return several and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")
