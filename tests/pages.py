"""The pages that a user reads, taken at their word: their files and their commands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
#: README.md and docs/*.md by name.
PAGES = {
    str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8")
    for path in [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/*.md"))]
}


def files(page: str) -> dict[str, str]:
    """The contents of the files that a page has, each in a block below its name."""
    return dict(re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```", PAGES[page], flags=re.MULTILINE | re.DOTALL))


def shell_blocks(page: str) -> list[str]:
    """What stands between ```` ```sh ```` and the end of the block."""
    return re.findall(r"^```sh\n(.*?)\n```", PAGES[page], flags=re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """Each line of a block that begins with ``python SCRIPT.py``, as the words that the shell makes of it.

    A line that begins with a dollar sign shows what comes of it, and is not among them.
    """
    blocks = re.findall(r"^```\n(.*?)^```", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if re.match(r"python \w+\.py\b", line)]


def follow(page: str, beside: Path, written: dict[str, str]) -> Path:
    """Writes files below ``beside``, where ``littlenets`` is as well, and runs a page's shell blocks in mynets."""
    (beside / "littlenets").symlink_to(REPOSITORY)
    for name, text in written.items():
        (beside / name).parent.mkdir(parents=True, exist_ok=True)
        (beside / name).write_text(text)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in shell_blocks(page):
        # `littlenets` is installed for its users; for the page's own setting of PYTHONPATH, it is here as well.
        command = command.replace("PYTHONPATH=.", f"PYTHONPATH=.:{REPOSITORY / 'src'}")
        environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
        subprocess.run(["bash", "-c", command], cwd=beside / "mynets", env=environment, check=True, timeout=600)
    return beside / "mynets"
