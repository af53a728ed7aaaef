"""Time sweeps against a shell loop over the plain script and against one job after another, and time a preview.

    python benchmarks/sweeps.py

takes about five minutes on two idle cores and writes the table in docs/sweeps.md between its markers. Both sides of a
comparison run alternately, so that other load on the machine affects both. `--quick` runs less and writes nothing.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "sweeps.md"
BEGIN, END = "<!-- benchmarks/sweeps.py -->", "<!-- end -->"
# Number of plain runs that are timed; a loop over more of them takes proportionally longer.
SAMPLE = 5


def seconds(*command: str | Path) -> float:
    """Run a Python program in a temporary folder, and return its duration in seconds.

    Args:
        *command: path of the program, and its arguments.

    Raises:
        RuntimeError: the program failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        started = time.perf_counter()
        done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
        took = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return took


def sweep(*arguments: str) -> float:
    """Run a sweep, and return its duration in seconds."""
    return seconds(ROOT / "train.py", "-m", *arguments)


def loop(runs: int) -> float:
    """Return the seconds of a loop over the plain script, extrapolated from `SAMPLE` runs."""
    plain = ROOT / "benchmarks" / "plain" / "linear.py"
    return runs / SAMPLE * sum(seconds(plain, "--epochs=200") for _ in range(SAMPLE))


def in_turn(rounds: int, one: Callable[[], float], other: Callable[[], float]) -> tuple[float, float, float]:
    """Call two functions alternately; return the medians of both results and of their ratio in each round."""
    pairs = [(one(), other()) for _ in range(rounds)]
    ratios = [first / second for first, second in pairs]
    return *(statistics.median(side) for side in zip(*pairs, strict=True)), statistics.median(ratios)


def measure(rounds: int, runs: int, epochs: int, seeds: int) -> list[str]:
    """Run all benchmarks, and return the results as lines of a Markdown table."""
    lines = ["| what | seconds | against | seconds | ratio |", "| --- | --- | --- | --- | --- |"]
    ours, plain, ratio = in_turn(rounds, lambda: sweep("model=linear", f"seed=range(0,{runs})"), lambda: loop(runs))
    lines.append(
        f"| {runs} runs of `linear`, one command | {ours:.1f} ({ours / runs:.2f} a run) | a shell loop over the plain "
        f"script (from {SAMPLE} runs) | {plain:.0f} ({plain / runs:.1f} a run) | {ratio:.3f} |"
    )
    equal = ["model=spiral", f"trainer.max_epochs={epochs}", f"seed=range(0,{seeds})"]
    ours, basic, ratio = in_turn(rounds, lambda: sweep(*equal), lambda: sweep(*equal, "hydra/launcher=basic"))
    lines.append(
        f"| {seeds} runs of `spiral`, {epochs:,} epochs each | {ours:.1f} | `hydra/launcher=basic` | {basic:.1f} | "
        f"{ratio:.2f} |"
    )
    points = ["seed=range(0,250)", "trainer.max_epochs=200,1000", "sweep.preview=true"]
    preview = statistics.median(sweep(*points) for _ in range(rounds))
    return [*lines, f"| preview of 500 jobs, all checked | {preview:.1f} | | | |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="medians are of so many")
    parser.add_argument("--quick", action="store_true", help="a tenth of it, once")
    args = parser.parse_args()
    rounds = 1 if args.quick else args.rounds
    lines = measure(rounds, 10, 200, 2) if args.quick else measure(rounds, 100, 3_000, 4)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    lines += [
        "",
        f"{'One round' if rounds == 1 else f'Medians of {rounds} rounds'}; "
        f"{platform.machine()}, {os.cpu_count()} cores, load {load} at the end.",
    ]
    print(*lines, sep="\n")
    if not args.quick:
        text = PAGE.read_text()
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text("\n".join([f"{before}{BEGIN}", "", *lines, "", f"{END}{rest.partition(END)[2]}"]))


if __name__ == "__main__":
    main()
