"""What makes ``tensorboard --logdir outputs`` show runs by short names.

TensorBoard calls a run by the path of its event files below ``--logdir``, such as
``runs/linear/2026-11-23_14-05-09-3f2a/tensorboard``, and shows it once more for each link that leads there, such as
``latest``. It also loads every class that an installed package names in its entry points ``tensorboard_plugins``, and
lets it correct its command line. So it is pointed at a folder of links to the runs, which have the names that it is to
show; nothing below ``--logdir`` is touched. A TensorBoard that is installed elsewhere shows the long names.
"""

import atexit
import os
import shutil
import tempfile
import threading
from argparse import Namespace
from pathlib import Path

from tensorboard.plugins.base_plugin import TBLoader

from .run_names import holds_runs, run_names

# As often as TensorBoard looks for new runs itself.
SECONDS_BETWEEN_LOOKS = 5.0
# TensorBoard keeps 10 of a slider's pictures unless told otherwise; a network is drawn at about 12 moments.
IMAGES = 30


class ShortRunNames(TBLoader):
    """Loaded by TensorBoard where this package is installed; shows nothing of its own."""

    def fix_flags(self, flags: Namespace) -> None:
        logdir = Path(os.path.expanduser(getattr(flags, "logdir", "") or ""))
        # Not for paths on other machines, nor for the event files of others alone.
        if not flags.logdir or not logdir.is_dir() or not holds_runs(logdir):
            return
        links = RunLinks(logdir.resolve())
        try:
            links.update()
        except OSError:
            return  # this system lets nobody make links
        threading.Thread(target=links.follow, daemon=True).start()
        flags.logdir = str(links.folder)
        flags.samples_per_plugin.setdefault("images", IMAGES)


class RunLinks:
    """A temporary folder with one link for each run at or below ``logdir``."""

    def __init__(self, logdir: Path) -> None:
        self.logdir = logdir
        self.folder = Path(tempfile.mkdtemp(prefix="littlenets-tensorboard-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self._linked: dict[str, Path] = {}

    def update(self) -> None:
        """Makes the links of new runs, and takes away those of runs that are gone."""
        named = run_names(self.logdir)
        for name in self._linked.keys() - named.keys():
            (self.folder / name).unlink(missing_ok=True)
            del self._linked[name]
        for name, target in named.items():
            if self._linked.get(name) == target:
                continue
            link = self.folder / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target.resolve(), target_is_directory=True)
            self._linked[name] = target

    def follow(self) -> None:
        """Updates for as long as the program runs."""
        wait = threading.Event()
        while not wait.wait(SECONDS_BETWEEN_LOOKS):
            try:
                self.update()
            except OSError:
                continue  # a run was deleted meanwhile; the next look sees the whole of it
