"""Runs train.py once for each argument list of a JSON list, in one process, since most of a start is imports.

Each has a new folder of its own to run in, named by its number; prints a JSON list of exit code, stdout and stderr.
"""

import io
import json
import os
import runpy
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path


def main(train: str, argument_lists: list[list[str]]) -> None:
    start, ends = Path.cwd(), []
    for number, arguments in enumerate(argument_lists):
        (start / str(number)).mkdir()
        os.chdir(start / str(number))
        sys.argv = [train, *arguments]
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                runpy.run_path(train, run_name="__main__")
            except SystemExit as stop:
                code = stop.code
            except Exception:
                # What the interpreter would do.
                traceback.print_exc()
                code = 1
        ends.append([code, out.getvalue(), err.getvalue()])
    json.dump(ends, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
