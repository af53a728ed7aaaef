"""Run commands in one process, one after another, since most of a start is imports.

Takes a script, and a JSON list of lists of arguments; in place of the script a folder, where each list begins with the
name of a script in it. Each runs in a folder of its own, named by its number, which may be there already. Prints a JSON
list of exit code, stdout, stderr, seconds, and the peak memory of the process so far in bytes.
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


def main(place: Path, argument_lists: list[list[str]]) -> None:
    start, ends = Path.cwd(), []
    for number, arguments in enumerate(argument_lists):
        script = str(place)
        if place.is_dir():
            script, *arguments = [str(place / arguments[0]), *arguments[1:]]
        (start / str(number)).mkdir(exist_ok=True)
        os.chdir(start / str(number))
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
        ends.append([code, out.getvalue(), err.getvalue(), time.monotonic() - began, peak])
    json.dump(ends, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
