"""Time each recipe against a plain PyTorch script with the same training, as whole processes that run alternately.

    python -m pip install -c constraints.txt -e . && python benchmarks/compare.py

takes about an hour on two cores and writes docs/performance.json, the tables in docs/performance.md between its
markers, and docs/images/performance.png. `--recipes spiral` measures only that recipe and keeps the figures of the
others. `--quick` trains a tenth as long and writes nothing.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path

from turns import in_turn

ROOT = Path(__file__).parent.parent
# Number of epochs of each recipe.
RECIPES = {"linear": 100_000, "spiral": 10_000, "spiral_one_by_one": 10, "multispiral": 2_000, "cnn": 3}
# Overrides of recipes that need more than the name of the model.
SETTINGS = {"spiral_one_by_one": ("model=spiral", "data.batch_size=1", "optimizer.lr=0.001")}
# Limits on the ratio to the plain script's seconds, for the training loop and the whole command. `cnn` has separate
# limits for one thread and for all cores.
TARGETS = {
    "linear": {"loop": 1.0, "command": 1.0},
    "spiral": {"loop": 0.85, "command": 0.9},
    "spiral_one_by_one": {"loop": 1.0},
    "multispiral": {"loop": 0.85, "command": 1.2},
    "cnn": {"loop": 0.7, "command": 0.75, "loop on all cores": 0.5, "command on all cores": 0.55},
}
# Limit on the ratio to the plain script's loop, on one thread, with the settings in `OBSERVED`.
OBSERVED_TARGET = 1.7
# In a tenth of the epochs of `spiral`, both sides have only two turns, and the ratio of a pair is off by a half.
OBSERVED_EPOCHS = 4_000
STOP = "+callbacks.stop"
OBSERVED = {
    "gradients clipped (`+trainer.gradient_clip_val=1`)": ("+trainer.gradient_clip_val=1",),
    "Lightning's `EarlyStopping`": (
        f"{STOP}._target_=pytorch_lightning.callbacks.EarlyStopping",
        f"{STOP}.monitor=train/loss",
        f"{STOP}.patience=1000000",
    ),
    "`run_ahead=false`": ("run_ahead=false",),
}


@dataclass
class Timing:
    """Measurements of one process, in seconds and MiB.

    Args:
        recipe: name of the recipe.
        side: plain or littlenets.
        threads: number of threads that was used.
        default_threads: whether the program chose the number of threads.
        command: duration of the whole process.
        loop: duration of the training loop.
        memory: peak resident set size.
        quality: what the network learned, in words.
    """

    recipe: str
    side: str
    threads: int
    default_threads: bool
    command: float
    loop: float
    memory: float
    quality: str


@dataclass
class Job:
    """One process to be timed.

    Args:
        recipe: name of the recipe.
        side: plain or littlenets.
        default_threads: whether the program chooses the number of threads.
        command: a program and its arguments.
        read: function that returns, from the files of the finished process, when its training loop began and ended,
            its number of threads, and what the network learned, in words.
    """

    recipe: str
    side: str
    default_threads: bool
    command: list[str]
    read: Callable[[], tuple[float, float, int, str]]


def plain(recipe: str, epochs: int, threads: int | None, args: argparse.Namespace, folder: Path) -> Job:
    """Return a job that runs the plain PyTorch script of a recipe."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    report = folder / "report.json"
    command = [sys.executable, str(ROOT / "benchmarks/plain" / f"{recipe}.py"), f"--epochs={epochs}"]
    command += [f"--report={report}", f"--out={folder / 'model.pt'}", f"--data={args.data}", f"--device={args.device}"]

    def read() -> tuple[float, float, int, str]:
        result = json.loads(report.read_text())
        name, value = result["quality"]
        return *result["loop"], result["threads"], f"{name} {value:.5g}"

    return Job(recipe, "plain", threads is None, command + ([f"--threads={threads}"] if threads else []), read)


def ours(recipe: str, epochs: int, threads: int | None, args: argparse.Namespace, folder: Path, *settings: str) -> Job:
    """Return a job that runs `train.py` with a recipe and further overrides."""
    run = Path(tempfile.mkdtemp(dir=folder)) / "run"
    command = [sys.executable, str(ROOT / "train.py"), *SETTINGS.get(recipe, (f"model={recipe}",))]
    # The plain scripts draw nothing.
    command += [
        f"trainer.max_epochs={epochs}",
        f"hydra.run.dir={run}",
        f"trainer.accelerator={args.device}",
        "figures=none",
        *settings,
    ]
    command += [f"data.root={args.data}", "data.stand_in=null"] if recipe == "cnn" else []

    def read() -> tuple[float, float, int, str]:
        result = json.loads((run / "results.json").read_text())
        metrics, seconds = result["metrics"], result["seconds"]
        quality = {
            "linear": lambda: f"f(20) off by {metrics['test/mae']:.2g}",
            "cnn": lambda: f"test accuracy {metrics['test/acc']:.5g}",
        }.get(recipe, lambda: f"train accuracy {metrics['train/acc']:.5g}")()
        fit = datetime.fromisoformat(result["started"]).timestamp() + seconds["setup"]
        return fit, fit + seconds["fit"], result["environment"]["threads"], quality

    return Job(recipe, "littlenets", threads is None, command + ([f"threads={threads}"] if threads else []), read)


def measure(when: str, jobs: Sequence[tuple[Job, float | None]], folder: Path) -> list[Timing]:
    """Run jobs alternately, each for its seconds at a time (None: until it ends), and print the results."""
    timings = []
    all_turns = in_turn([job.command for job, _ in jobs], [seconds for _, seconds in jobs], folder)
    for (job, _), turns in zip(jobs, all_turns, strict=True):
        begun, ended, threads, quality = job.read()
        loop = turns.seconds(begun, ended)
        timings.append(
            Timing(job.recipe, job.side, threads, job.default_threads, turns.seconds(), loop, turns.memory, quality)
        )
        print(
            f"{when} {job.recipe:<18} {job.side:<11} {threads} threads: "
            f"loop {loop:8.2f} s, command {turns.seconds():8.2f} s, {quality}",
            flush=True,
        )
    return timings


def rounds(args: argparse.Namespace, folder: Path) -> list[Timing]:
    """Time both sides alternately, so that other load on the machine affects both."""
    timings = []
    for number in range(args.rounds):
        for recipe in args.recipes:
            epochs = max(1, RECIPES[recipe] // (10 if args.quick else 1))
            for threads, suffix in ((1, ""), (None, " on all cores")):
                # Both sides end at about the same time if the target is met.
                turn = TARGETS[recipe].get("loop" + suffix, TARGETS[recipe]["loop"])
                jobs = [(plain(recipe, epochs, threads, args, folder), 1.0)]
                jobs += [(ours(recipe, epochs, threads, args, folder), turn)]
                timings += measure(f"round {number + 1}", jobs, folder)
    return timings


def watching(args: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Return the ratios of the loop's duration with the default callbacks and logger to that without, by recipe."""
    ratios = {}
    for recipe in args.recipes:
        epochs = max(1, RECIPES[recipe] // (10 if args.quick else 1))
        ratios[recipe] = []
        for number in range(args.rounds):
            jobs = [ours(recipe, epochs, None, args, folder, *off) for off in ((), ("callbacks=none", "logger=none"))]
            on, off = measure(f"watching, round {number + 1}", [(job, 1.0) for job in jobs], folder)
            ratios[recipe].append(on.loop / off.loop)
    return ratios


def observed(args: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Return the ratios of our loop's duration to the plain script's for `OBSERVED`."""
    ratios: dict[str, list[float]] = {}
    for number in range(args.rounds):
        for name, settings in OBSERVED.items():
            jobs = [(plain("spiral", OBSERVED_EPOCHS, 1, args, folder), 1.0)]
            jobs += [(ours("spiral", OBSERVED_EPOCHS, 1, args, folder, *settings), OBSERVED_TARGET)]
            their, our = measure(f"observed, round {number + 1}", jobs, folder)
            ratios.setdefault(name, []).append(our.loop / their.loop)
    return ratios


@contextmanager
def other_program() -> Iterator[None]:
    """Keep half of the cores busy during the block."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(max(1, os.cpu_count() // 2))]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def busy(args: argparse.Namespace, folder: Path) -> list[Timing]:
    """Time both sides, and the plain script on one thread, while half of the cores are busy; a tenth as long."""
    timings = []
    with other_program():
        for number in range(args.rounds):
            for recipe in args.recipes:
                epochs = max(1, RECIPES[recipe] // 10)
                sides = ((plain, 1), (plain, None), (ours, None))
                if _is_hopeless(timings, recipe):
                    sides = ((plain, 1), (ours, None))
                jobs = [side(recipe, epochs, threads, args, folder) for side, threads in sides]
                # Each job runs without pauses: while it is stopped, the other program takes all cores, and threads that
                # wait for each other need seconds to get them back.
                timings += measure(f"busy, round {number + 1}", [(job, None) for job in jobs], folder)
    return timings


def _is_hopeless(timings: Sequence[Timing], recipe: str) -> bool:
    """Return whether the plain script took over twice as long by default as on one thread, so that once is enough."""
    one, default = (
        [t.loop for t in timings if (t.recipe, t.side, t.default_threads) == (recipe, "plain", by_default)]
        for by_default in (False, True)
    )
    return bool(default) and default[0] > 2 * one[0]


def start_up(args: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Measure the seconds of a command that trains one epoch, and the seconds and MiB of imports alone."""
    figures: dict[str, list[float]] = {"one epoch": [], "imports": [], "imports MiB": [], "torch MiB": []}
    for _ in range(max(5, args.rounds)):
        commands = [ours("linear", 1, None, args, folder).command]
        commands += [
            [sys.executable, "-c", f"import {names}"] for names in ("pytorch_lightning, hydra", "torch, torchvision")
        ]
        one_epoch, imports, torch = in_turn(commands, [1.0] * len(commands), folder)
        figures["one epoch"].append(one_epoch.seconds())
        figures["imports"].append(imports.seconds())
        figures["imports MiB"].append(imports.memory)
        figures["torch MiB"].append(torch.memory)
    return figures


def spread(values: Sequence[float]) -> str:
    """Return the median, minimum and maximum as text."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def table(timings: Sequence[Timing]) -> list[str]:
    """Return a Markdown table with a line for each recipe and number of threads."""
    lines = [
        "| recipe | threads | plain loop, s | our loop, s | ratio of loops | target | ratio of commands | target |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for recipe in dict.fromkeys(timing.recipe for timing in timings):
        for default in (False, True):
            pairs = [
                [t for t in timings if (t.recipe, t.side, t.default_threads) == (recipe, side, default)]
                for side in ("plain", "littlenets")
            ]
            loops = [our.loop / their.loop for their, our in zip(*pairs, strict=True)]
            commands = [our.command / their.command for their, our in zip(*pairs, strict=True)]
            counts = [side[0].threads for side in pairs]
            threads = f"default ({counts[0]} and {counts[1]})" if default else "1"
            suffix = " on all cores" if default else ""
            # The targets are for the same number of threads on both sides.
            loop_target, command_target = (
                TARGETS[recipe].get(name + suffix, "") if counts[0] == counts[1] else "" for name in ("loop", "command")
            )
            lines.append(
                f"| {recipe} | {threads} | {spread([t.loop for t in pairs[0]])} | {spread([t.loop for t in pairs[1]])} "
                f"| {spread(loops)} | {loop_target} | {spread(commands)} | {command_target} |"
            )
    return lines


def busy_table(timings: Sequence[Timing]) -> list[str]:
    """Return a Markdown table of our default number of threads against the better of the plain script's, by recipe."""
    lines = [
        "| recipe | plain, 1 thread, s | plain, default, s | ours, default, s | ours over the better of both |",
        "| --- | --- | --- | --- | --- |",
    ]
    for recipe in dict.fromkeys(timing.recipe for timing in timings):
        one, default, our = (
            [t.loop for t in timings if (t.recipe, t.side, t.default_threads) == (recipe, side, default)]
            for side, default in (("plain", False), ("plain", True), ("littlenets", True))
        )
        # The script on its default number of threads may have been run only once (`busy`).
        ratios = [mine / min(theirs) for mine, *theirs in zip_longest(our, one, default, fillvalue=math.inf)]
        lines.append(f"| {recipe} | {spread(one)} | {spread(default)} | {spread(our)} | {spread(ratios)} |")
    return lines


def memory_table(timings: Sequence[Timing], start: dict[str, list[float]]) -> list[str]:
    """Return a Markdown table of the peak memory of both sides, by recipe."""
    added = statistics.median(start["imports MiB"]) - statistics.median(start["torch MiB"])
    lines = [
        f"Importing Lightning and Hydra adds {added:.0f} MiB to what torch and torchvision take.",
        "",
        "| recipe | plain, peak MiB | littlenets, peak MiB | over plain plus imports |",
        "| --- | --- | --- | --- |",
    ]
    for recipe in dict.fromkeys(timing.recipe for timing in timings):
        theirs, our = (
            statistics.median(t.memory for t in timings if (t.recipe, t.side) == (recipe, side))
            for side in ("plain", "littlenets")
        )
        lines.append(f"| {recipe} | {theirs:.0f} | {our:.0f} | {our / (theirs + added):.2f} |")
    return lines


def picture(timings: Sequence[Timing], path: Path) -> None:
    """Plot the median seconds of the training loop on both sides, with one thread and with the default number."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    recipes = list(dict.fromkeys(timing.recipe for timing in timings))
    size = (2.3 * len(recipes), 3.2)
    figure, ((*axes,),) = pyplot.subplots(1, len(recipes), figsize=size, layout="constrained", squeeze=False)
    for axis, recipe in zip(axes, recipes, strict=True):
        for position, default in enumerate((False, True)):
            for side, colour, shift in (("plain", "#999999", -0.2), ("littlenets", "#0072b2", 0.2)):
                seconds = [t.loop for t in timings if (t.recipe, t.side, t.default_threads) == (recipe, side, default)]
                middle = statistics.median(seconds)
                error = [[middle - min(seconds)], [max(seconds) - middle]]
                axis.bar(position + shift, middle, 0.38, color=colour, yerr=error, capsize=2)
        axis.set_xticks([0, 1], ["1 thread", "default"])
        axis.set_title(f"{recipe},\n{RECIPES[recipe]:,} epochs", fontsize=9)
    axes[0].set_ylabel("training loop, seconds")
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=colour) for colour in ("#999999", "#0072b2")]
    figure.legend(handles, ["plain PyTorch script", "littlenets"], loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="folder with torchvision's MNIST/")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    args.data = args.data.resolve()

    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "machine": machine(args),
            "timings": [asdict(timing) for timing in rounds(args, Path(folder))],
            "watching": watching(args, Path(folder)),
            "observed": observed(args, Path(folder)),
            "busy": [asdict(timing) for timing in busy(args, Path(folder))],
            "start": start_up(args, Path(folder)),
        }
    figures = figures if args.quick else merged(figures)
    print("\n".join(["", *page(figures)]))
    if not args.quick:
        write(figures)


def machine(args: argparse.Namespace) -> str:
    """Return a description of the device and the versions of Python and PyTorch."""
    import torch

    device = torch.cuda.get_device_name() if args.device == "cuda" else _processor()
    return f"{device}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"


def _processor() -> str:
    """Return the name of the processor on Linux, elsewhere its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def merged(figures: dict) -> dict:
    """Add the earlier figures of other recipes, if they are from the same machine with the same versions."""
    file = ROOT / "docs/performance.json"
    earlier = json.loads(file.read_text()) if file.exists() else {}
    if earlier.get("machine") != figures["machine"]:
        return figures
    measured = {timing["recipe"] for timing in figures["timings"]}
    for name in ("timings", "busy"):
        kept = [timing for timing in earlier.get(name, []) if timing["recipe"] not in measured]
        figures[name] = sorted(kept + figures[name], key=lambda timing: list(RECIPES).index(timing["recipe"]))
    return figures | {"watching": earlier.get("watching", {}) | figures["watching"]}


def page(figures: dict) -> list[str]:
    """Return the figures as lines of Markdown."""
    timings, start = [Timing(**timing) for timing in figures["timings"]], figures["start"]
    one_epoch = [epoch / imports for epoch, imports in zip(start["one epoch"], start["imports"], strict=True)]
    return [
        f"{figures['machine']}. Median (lowest to highest).",
        "",
        *table(timings),
        "",
        f"A whole `train.py` that trains one epoch takes {spread(one_epoch)} times as long as "
        '`python -c "import pytorch_lightning, hydra"`; target 1.25.',
        "",
        "Loop with everything recorded, shown and saved, over the same with nothing; target 1.05:",
        "",
        *(f"- {recipe}: {spread(ratios)}" for recipe, ratios in figures["watching"].items()),
        "",
        f"The loop of `spiral` on one thread, {OBSERVED_EPOCHS:,} epochs, with gradient clipping, and with Lightning "
        f"calling the hooks of every epoch, over the plain script's; target {OBSERVED_TARGET}:",
        "",
        *(f"- {name}: {spread(ratios)}" for name, ratios in figures["observed"].items()),
        "",
        "While something else computes on half of the cores, the loop of a run a tenth as long "
        "(`cnn`: one epoch); target 1.0:",
        "",
        *busy_table([Timing(**timing) for timing in figures["busy"]]),
        "",
        *memory_table(timings, start),
        "",
        "What the networks learned:",
        "",
        *dict.fromkeys(f"- {t.recipe}, {t.side}, {t.threads} threads: {t.quality}" for t in timings),
    ]


def write(figures: dict) -> None:
    """Write docs/performance.json, the part of docs/performance.md between the markers, and the picture."""
    (ROOT / "docs/performance.json").write_text(json.dumps(figures, indent=1) + "\n")
    document = ROOT / "docs/performance.md"
    begin, end = "<!-- made by benchmarks/compare.py -->\n", "<!-- until here -->\n"
    before, _, rest = document.read_text().partition(begin)
    after = rest.partition(end)[2]
    document.write_text(before + begin + "\n" + "\n".join(page(figures)) + "\n\n" + end + after)
    (ROOT / "docs/images").mkdir(exist_ok=True)
    picture([Timing(**timing) for timing in figures["timings"]], ROOT / "docs/images/performance.png")


if __name__ == "__main__":
    main()
