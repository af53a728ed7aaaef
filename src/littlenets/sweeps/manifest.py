"""Read and write sweep.json, which contains the command of a sweep and its jobs."""

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
    """One run of a sweep. Its status and results are in the files of its own run folder.

    Args:
        number: number of the job, from 0; jobs that are added to the sweep later get the next numbers.
        folder: name of its run folder, directly in the sweep's folder.
        overrides: its overrides, as on a command line.
        swept: the settings that differ between jobs: values by dotted name, choices by the name of their group.
        attempts: how often it was started.
        error: ``type`` and ``message`` of an error that the run did not record itself, as when its process died.
        interrupted: whether it was stopped before it could record that itself.
        fingerprint: hash of its resolved configuration, which shows whether a point has been tried already.
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
    """Content of sweep.json.

    Args:
        arguments: the command line as typed, without the name of the program.
        objective: metric by which jobs are compared, such as ``val/loss``; None is a default metric.
        direction: ``minimize`` or ``maximize``; None derives it from the metric's name.
        jobs: all jobs, ordered by number.
    """

    arguments: list[str]
    objective: str | None = None
    direction: Literal["minimize", "maximize"] | None = None
    jobs: list[Job] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the sweep.json of a folder.

        Raises:
            SettingError: there is no sweep.json, or it is damaged.
        """
        path = Path(folder) / FILE
        try:
            manifest = read_json(path, cls)
        except FileNotFoundError:
            raise SettingError(f"{folder}: there is no {FILE} in it, so it is not the folder of a sweep.") from None
        for number, job in enumerate(manifest.jobs):
            if job.number != number:
                raise damaged(path, f"number {job.number} stands where {number} should")
            # The folder of a failed attempt is removed, so the name must not lead to another place.
            if not is_folder_name(job.folder):
                raise damaged(path, f"{job.folder!r} is no folder of a job")
        if len({job.folder for job in manifest.jobs}) < len(manifest.jobs):
            raise damaged(path, "two jobs have the same folder")
        return manifest

    def write(self, folder: Path) -> None:
        """Write sweep.json into a folder, atomically."""
        # The same as `dataclasses.asdict`, which copies every value and would take longer than the rest.
        content = vars(self) | {"jobs": [vars(job) for job in self.jobs]}
        write_atomically(Path(folder) / FILE, json.dumps(content, indent=1) + "\n")


def is_folder_name(name: Any) -> bool:
    """Return whether a value is the name of a folder directly in another one."""
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
        return False
    # Limit of Linux, macOS and Windows on the length of a file name.
    return len(os.fsencode(name)) < 256
