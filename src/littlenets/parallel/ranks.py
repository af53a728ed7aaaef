"""Detect the rank of this process if a launcher started it. Has no slow imports."""

import os

# Set by torchrun, SLURM and Lightning itself; in the first process, all of them are 0 or unset.
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
_SLURM = "SLURM_PROCID"
_LAUNCHERS = {"TORCHELASTIC_RUN_ID": "torchrun", "LOCAL_RANK": "somebody (LOCAL_RANK is set)"}


def is_other_rank() -> bool:
    """Return whether this process is not the first of a run; then it trains, but writes and prints nothing."""
    return rank_variable() is not None


def rank_variable() -> str | None:
    """Return the variable that sets a rank other than 0, as NAME=RANK; None in the first process of a run."""
    names = (*_RANKS, _SLURM) if _is_task_of_slurm() else _RANKS
    return next((f"{name}={rank}" for name in names if (rank := os.environ.get(name, "")) not in ("", "0")), None)


def started_by() -> str | None:
    """Return the name of the launcher that started this process as one of several; None if there is none."""
    return next((name for variable, name in _LAUNCHERS.items() if variable in os.environ), None)


def _is_task_of_slurm() -> bool:
    """Return whether srun started several tasks including this one; an interactive shell does not count as a task."""
    several = os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1" and os.environ.get("SLURM_NTASKS", "1") != "1"
    return several and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")
