"""Which of several processes this one is, where somebody else has started them. Imports nothing that takes time."""

import os

# What torchrun, SLURM and Lightning itself tell a process; 0, or nothing, in all of them is the first process.
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
_LAUNCHERS = {"TORCHELASTIC_RUN_ID": "torchrun", "LOCAL_RANK": "somebody (LOCAL_RANK is set)"}


def follows() -> bool:
    """Return whether this process is another than the first of a run: it trains, but writes and prints nothing."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in _RANKS) or _follows_in_slurm()


def started_by() -> str | None:
    """Return who has started this process as one of several, in words; None where it was started alone."""
    return next((name for variable, name in _LAUNCHERS.items() if variable in os.environ), None)


def _follows_in_slurm() -> bool:
    """Return whether this is another than the first of several tasks; but srun may also start runs side by side."""
    task, tasks = os.environ.get("SLURM_PROCID", "0"), os.environ.get("SLURM_NTASKS", "1")
    batch = os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")
    return batch and tasks != "1" and task != "0" and "SLURM_STEP_NUM_TASKS" in os.environ
