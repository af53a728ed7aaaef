"""Run commands in one process, one after another, since most of a start is imports.

Takes a script, and a JSON list of lists of arguments; in place of the script a folder, where each list begins with the
name of a script in it. Each runs in a folder of its own, named by its number, which may be there already. Prints a JSON
list of exit code, stdout, stderr, seconds, and the peak memory of the process so far in bytes.

With a folder alone, it answers each line of its input, a JSON list of the folder to run in, the script and the
arguments, by a line with the same of that command.
"""

import io
import json
import os
import resource
import runpy
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path


def run(cwd: Path, script: str, *arguments: str) -> list:
    cwd.mkdir(exist_ok=True)
    os.chdir(cwd)
    sys.argv = [script, *arguments]
    began = time.monotonic()
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        except Exception:
            # What the interpreter would do.
            traceback.print_exc()
            code = 1
    # Linux counts in KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return [code, out.getvalue(), err.getvalue(), time.monotonic() - began, peak]


def main(place: Path, argument_lists: list[list[str]]) -> None:
    scripts = [] if place.is_dir() else [place]
    start, ends = Path.cwd(), []
    for number, arguments in enumerate(argument_lists):
        script, *others = [*scripts, *arguments]
        ends.append(run(start / str(number), str(place / script), *others))
    json.dump(ends, sys.stdout)


def serve(place: Path) -> None:
    for line in sys.stdin:
        cwd, script, *arguments = json.loads(line)
        print(json.dumps(run(Path(cwd), str(place / script), *arguments)), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(Path(sys.argv[1]), json.loads(sys.argv[2]))
    else:
        serve(Path(sys.argv[1]))
