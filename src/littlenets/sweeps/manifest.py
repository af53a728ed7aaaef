"""sweep.json: which jobs a sweep consists of, and what was asked for."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

from ..errors import SettingError
from ..runs.files import write_atomically
from ..runs.reading import damaged, read_json

FILE = "sweep.json"


@dataclass
class Job:
    """One run of a sweep. How far it came stands in the files of its own folder.

    Args:
        number: counts from 0; jobs that are added to a sweep go on counting.
        folder: the name of its run folder, below the sweep's.
        overrides: what was set for it, as on a command line.
        swept: what tells it from the other jobs: settings by dotted name, choices by the name of their group.
        attempts: how often it was started.
        error: ``type`` and ``message``, only where it could not say so itself: its process died.
        interrupted: whether it was stopped, likewise only where it could not say so itself.
        fingerprint: of its resolved configuration; tells whether a point has been tried already.
    """

    number: int
    folder: str
    overrides: list[str]
    swept: dict[str, Any] = field(default_factory=dict)
    attempts: Annotated[int, Ge(0)] = 0
    error: dict[str, str] | None = None
    interrupted: bool = False
    fingerprint: str = ""


@dataclass
class Manifest:
    """A whole sweep.

    Args:
        arguments: the command line as typed, without the name of the program.
        objective: the metric to compare jobs by, such as ``val/loss``; None is the task's own.
        direction: ``minimize`` or ``maximize``; None is what the metric's name suggests.
        jobs: in the order of their numbers.
    """

    arguments: list[str]
    objective: str | None = None
    direction: Literal["minimize", "maximize"] | None = None
    jobs: list[Job] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Raises SettingError where ``folder`` is not that of a sweep, or its sweep.json is damaged."""
        path = Path(folder) / FILE
        try:
            manifest = read_json(path, cls)
        except FileNotFoundError:
            raise SettingError(f"{folder}: there is no {FILE} in it, so it is not the folder of a sweep.") from None
        for number, job in enumerate(manifest.jobs):
            if job.number != number:
                raise damaged(path, f"number {job.number} stands where {number} should")
            # A folder that came to nothing is removed before it is used again.
            if not is_folder_name(job.folder):
                raise damaged(path, f"{job.folder!r} is no folder of a job")
        if len({job.folder for job in manifest.jobs}) < len(manifest.jobs):
            raise damaged(path, "two jobs have the same folder")
        return manifest

    def write(self, folder: Path) -> None:
        """Replaces ``folder``'s sweep.json at once."""
        # As `dataclasses.asdict` has it, which takes longer than the rest: it copies every value.
        content = vars(self) | {"jobs": [vars(job) for job in self.jobs]}
        write_atomically(Path(folder) / FILE, json.dumps(content, indent=1) + "\n")


def is_folder_name(name: Any) -> bool:
    """Whether it names a folder directly below another one."""
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
        return False
    # More is a name of no file on Linux, macOS and Windows.
    return len(os.fsencode(name)) < 256
