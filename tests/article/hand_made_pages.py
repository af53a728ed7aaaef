"""Outcomes of every experiment, written by hand, to make pages of."""

from pathlib import Path

from hand_made_runs import write_run
from omegaconf import OmegaConf

from littlenets.article.experiments import Experiment, Outcome
from littlenets.article.illustrations import CURVES
from littlenets.article.measured_runs import Record
from littlenets.article.page import judge_all, render
from littlenets.article.writing import EXPERIMENTS

# The values of a sweep's setting.
SWEPT = {
    "optimizer.lr": ("0.001", "0.01", "0.05", "0.1"),
    "data.batch_size": ("null", "2", "1"),
    "model.network.activation": ("relu", "tanh", "sigmoid"),
    "model.module.loss": ("bce", "mse"),
}
FIGURES = (
    *("parameters", "surface", "fit", "network", "loss", "data", "regions", "far", "accuracy", "moments", "neurons_1"),
    *("neurons_2", "saturation", "lines", "predictions", "mistakes", "confusion", "feature_maps", "kernels"),
)


def write_outcomes(folder: Path, missing: tuple[str, ...] = ()) -> dict[str, Outcome]:
    """Runs with all that the page looks at; those of the missing experiments failed."""
    return {name: _outcome(folder, name, name in missing) for name in EXPERIMENTS}


def _outcome(folder: Path, name: str, missing: bool) -> Outcome:
    key = CURVES[name][0] if name in CURVES else None
    jobs = [[f"{key}={value}"] for value in SWEPT[key]] if key else [[]]
    experiment = Experiment(name, ["data.root=/a/folder & <another>"], OmegaConf.create(), jobs)
    if missing:
        return Outcome(experiment, problem="Its command ended with code 1, and said: <no> data & no luck")
    epochs = 300
    history = {
        "train/loss": [0.99**epoch for epoch in range(epochs)],
        "train/acc": [min(1.0, 0.5 + epoch / 100) for epoch in range(epochs)],
        "weight": [2 - 0.99**epoch for epoch in range(epochs)],
        "bias": [0.99**epoch for epoch in range(epochs)],
    }
    metrics = {
        **{"train/loss": 0.05, "train/acc": 1.0, "test/acc": 0.995, "colour_lines/acc": 0.4},
        **{"weight": 1.95, "bias": 0.05, "test/mae": 0.95},
    }
    records = []
    for number, job in enumerate(jobs):
        overrides = [*experiment.arguments, *job]
        path = folder / name / str(number)
        files = [f"{figure}.png" for figure in FIGURES] + ["regions.gif"]
        records.append(
            Record(write_run(path, overrides, history=history, metrics=metrics, data="mnist", figures=files))
        )
    return Outcome(experiment, records)


def page_of(outcomes: dict[str, Outcome]) -> str:
    return render(outcomes, judge_all(outcomes))
