"""Measure the test accuracy and duration of `experiment=mnist_fast` with several seeds, one process after the other.

    python benchmarks/mnist_fast.py --seeds 10

prints a Markdown summary: test accuracy over the seeds, and seconds of training, of the whole job and of the whole
command. Settings after `--` are passed to `train.py` (`python benchmarks/mnist_fast.py -- threads=1`).
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
GOAL = 0.99


@dataclass
class Outcome:
    """Test accuracy of one process, and its durations in seconds.

    Args:
        accuracy: test accuracy, from 0 to 1.
        fit: training.
        job: the whole job, without imports.
        command: the whole process.
        environment: versions and device from results.json.
    """

    accuracy: float
    fit: float
    job: float
    command: float
    environment: dict[str, object]


def train(seed: int, data: Path, settings: Sequence[str], folder: Path) -> Outcome:
    """Run `train.py` in a process of its own.

    Args:
        seed: the seed.
        data: folder with torchvision's MNIST/.
        settings: further overrides.
        folder: folder in which the run folder is created.

    Raises:
        RuntimeError: the process failed.
    """
    run = folder / str(seed)
    command = [sys.executable, str(ROOT / "train.py"), "experiment=mnist_fast", f"seed={seed}", f"hydra.run.dir={run}"]
    command += [f"data.root={data}", "data.stand_in=null", "figures=none", *settings]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    started = time.perf_counter()
    process = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{process.stdout}")
    result = json.loads((run / "results.json").read_text())
    took = result["seconds"]
    return Outcome(result["metrics"]["test/acc"], took["fit"], took["total"], seconds, result["environment"])


def spread(values: Sequence[float], digits: int, scale: float = 1) -> str:
    """Return the mean and, of several values, the sample standard deviation as text."""
    mean = f"{scale * statistics.mean(values):.{digits}f}"
    return f"{mean} ± {scale * statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the results as lines of Markdown."""
    accuracies = [outcome.accuracy for outcome in outcomes]
    reached = sum(accuracy >= GOAL for accuracy in accuracies)
    used = outcomes[0].environment
    return [
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {used['threads']} threads, "
        f"Python {platform.python_version()}, torch {used['packages']['torch']}. Mean ± standard deviation.",
        "",
        f"| seeds | {len(outcomes)} |",
        "| --- | --- |",
        f"| test accuracy | {spread(accuracies, 3, 100)}% |",
        f"| lowest test accuracy | {100 * min(accuracies):.2f}% |",
        f"| reached {GOAL:.0%} | {reached} of {len(outcomes)} |",
        f"| training, s | {spread([outcome.fit for outcome in outcomes], 2)} |",
        f"| whole job, with loading and checking the data and testing, s | {spread([o.job for o in outcomes], 2)} |",
        f"| whole command, with imports, s | {spread([outcome.command for outcome in outcomes], 2)} |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="how many: 0, 1, 2, ...")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="folder with torchvision's MNIST/")
    parser.add_argument("settings", nargs="*", help="settings for train.py, after --")
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error("--seeds: at least 1")

    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):
            outcome = train(seed, args.data.resolve(), args.settings, Path(folder))
            outcomes.append(outcome)
            print(
                f"seed {seed}: test accuracy {outcome.accuracy:.2%}, training {outcome.fit:.2f} s, "
                f"job {outcome.job:.2f} s, command {outcome.command:.2f} s",
                flush=True,
            )
    print("\n".join(["", *summary(outcomes)]))


if __name__ == "__main__":
    main()
