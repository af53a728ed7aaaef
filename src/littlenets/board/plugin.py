"""TensorBoard plugin that shows runs by short names in ``tensorboard --logdir outputs``.

TensorBoard names a run after the path of its event files relative to ``--logdir``, such as
``runs/linear/2026-11-23_14-05-09-3f2a/tensorboard``, and shows it again for each link to it, such as ``latest``.
TensorBoard loads each class that an installed package lists in its entry points ``tensorboard_plugins``, and lets the
class change the command-line flags. This plugin replaces ``--logdir`` by a temporary folder with one link per run; the
names of the links are the short names. Nothing in the original folder is changed. A TensorBoard in another Python
environment shows the long names.
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

# The interval at which TensorBoard itself looks for new runs.
SECONDS_BETWEEN_LOOKS = 5.0
# TensorBoard keeps 10 images per slider by default; a network is drawn at about 12 moments.
IMAGES = 30


class ShortRunNames(TBLoader):
    """Plugin loader that only changes TensorBoard's flags; it adds no plugin of its own."""

    def fix_flags(self, flags: Namespace) -> None:
        logdir = Path(os.path.expanduser(getattr(flags, "logdir", "") or ""))
        # Do nothing for remote paths, or if all event files are from other programs.
        if not flags.logdir or not logdir.is_dir() or not holds_runs(logdir):
            return
        links = RunLinks(logdir.resolve())
        try:
            links.update()
        except OSError:
            return  # the system does not allow creating links
        threading.Thread(target=links.follow, daemon=True).start()
        flags.logdir = str(links.folder)
        flags.samples_per_plugin.setdefault("images", IMAGES)


class RunLinks:
    """Temporary folder with one link for each run in ``logdir`` and its subfolders; removed when the process ends."""

    def __init__(self, logdir: Path) -> None:
        self.logdir = logdir
        self.folder = Path(tempfile.mkdtemp(prefix="littlenets-tensorboard-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self._linked: dict[str, Path] = {}

    def update(self) -> None:
        """Create links to new runs, and remove links to runs that no longer exist."""
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
        """Call `update` every `SECONDS_BETWEEN_LOOKS` seconds until the process ends."""
        wait = threading.Event()
        while not wait.wait(SECONDS_BETWEEN_LOOKS):
            try:
                self.update()
            except OSError:
                continue  # a run was deleted meanwhile; try again at the next update
