"""Choose and draw the figures of a sweep."""

import io
from collections.abc import Callable, Iterator
from typing import Any

from matplotlib.figure import Figure

from ..figures.sweep_curves import sweep_curves
from ..figures.sweep_metric import sweep_pair, sweep_seeds, sweep_setting
from ..runs.files import write_atomically
from ..runs.folder import file_name
from .outcomes import Outcome
from .table import SEED, SweepTable

# Limit on the number of settings with a figure of their own; the tables contain all of them.
SETTINGS = 4
# Limit on the number of values of a second setting that are shown by colours, so that they can be told apart.
LEVELS = 6
# The same for dash patterns.
DASHES = 3
OURS = ("by_*.png", "heat_map.png", "loss_curves.png")
DURATION = "trainer.max_epochs"


def draw_figures(table: SweepTable) -> tuple[list[str], list[str]]:
    """Draw the figures of a sweep into its subfolder ``figures/``, and remove older ones that were not drawn again.

    Returns:
        The paths of the figures, relative to the sweep's folder, and messages about those that could not be drawn.
    """
    folder = table.folder / "figures"
    before = {path.name for pattern in OURS for path in folder.glob(pattern)}
    drawn, remarks = [], []
    for name, draw in _figures(table):
        try:
            figure = draw()
            folder.mkdir(exist_ok=True)
            image = io.BytesIO()
            figure.savefig(image, format="png")
            write_atomically(folder / name, image.getvalue())
        except Exception as error:  # an error in one figure must not prevent the others and the tables
            remarks.append(f"figures/{name} could not be drawn: {type(error).__name__}: {error}")
        else:
            drawn.append(f"figures/{name}")
            before.discard(name)
    for name in before:
        (folder / name).unlink(missing_ok=True)
    return drawn, remarks


def _figures(table: SweepTable) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Yield the file name of each figure, with a function that draws it."""
    settings = [key for key in table.keys if key != SEED]
    loss = _loss(table)
    curves = [outcome for outcome in table.outcomes if loss in outcome.losses]
    if curves:
        yield "loss_curves.png", lambda: _curves(table, curves, loss)
    if not table.best:
        return
    for key in [key for key in settings if _has_points(table, key)][:SETTINGS]:
        yield f"{file_name(['by', key])}.png", lambda key=key: _by_setting(table, key)
    if len(settings) == 2 and _is_grid(table, settings):
        yield "heat_map.png", lambda: _heat_map(table, *settings)
    if table.keys == [SEED]:
        yield "by_seed.png", lambda: _by_seed(table)


def _measured(table: SweepTable, outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the arguments that all figures of the objective take."""
    objective = table.objective
    return {
        "metrics": [objective.value(outcome) for outcome in outcomes],
        "metric": objective.metric,
        "rising": objective.direction == "maximize",
    }


def _ended(table: SweepTable, *keys: str) -> list[Outcome]:
    """Return the jobs that set all of the keys and either have a value of the objective or diverged."""
    return [
        outcome
        for outcome in table.outcomes
        if all(key in outcome.job.swept for key in keys)
        and (table.objective.value(outcome) is not None or outcome.status == "diverged")
    ]


def _has_points(table: SweepTable, *keys: str) -> bool:
    """Return whether the jobs in `_ended` differ in each setting, and at least one has a value of the objective."""
    outcomes = _ended(table, *keys)
    reached = any(table.objective.value(outcome) is not None for outcome in outcomes)
    return reached and all(_levels(outcomes, key) > 1 for key in keys)


def _by_setting(table: SweepTable, key: str) -> Figure:
    """Plot the objective against one setting, with colours for another setting that has few values, if there is one."""
    outcomes = _ended(table, key)
    others = [other for other in table.keys if other not in (key, SEED)]
    # Not a setting that was zipped with this one, because each of its lines would have a single point.
    counts = {other: _levels(outcomes, other) for other in others if _differ(outcomes, key, [other])}
    line = min((other for other, count in counts.items() if 1 < count <= LEVELS), key=counts.get, default=None)
    fixed = [key, line] if line else [key]
    averaged = [table.names[other] for other in table.keys if other not in fixed and _differ(outcomes, other, fixed)]
    return sweep_setting(
        [outcome.job.swept[key] for outcome in outcomes],
        setting=key,
        lines=[outcome.job.swept.get(line) for outcome in outcomes] if line else None,
        line_setting=line or "",
        averaged=averaged,
        **_measured(table, outcomes),
    )


def _levels(outcomes: list[Outcome], key: str) -> int:
    return len({repr(outcome.job.swept.get(key)) for outcome in outcomes})


def _differ(outcomes: list[Outcome], key: str, fixed: list[str]) -> bool:
    """Return whether jobs with the same values of the fixed settings have different values of another one."""
    found: dict[str, set[str]] = {}
    for outcome in outcomes:
        swept = outcome.job.swept
        found.setdefault(repr([swept.get(other) for other in fixed]), set()).add(repr(swept.get(key)))
    return any(len(values) > 1 for values in found.values())


def _is_grid(table: SweepTable, keys: list[str]) -> bool:
    """Return whether more than half of the pairs of values were tried; if settings are zipped, fewer are."""
    if not _has_points(table, *keys):
        return False
    outcomes = _ended(table, *keys)
    rows, columns = (_levels(outcomes, key) for key in keys)
    pairs = {repr([outcome.job.swept[key] for key in keys]) for outcome in outcomes}
    return 2 * len(pairs) > rows * columns


def _heat_map(table: SweepTable, across: str, up: str) -> Figure:
    outcomes = _ended(table, across, up)
    return sweep_pair(
        [outcome.job.swept[across] for outcome in outcomes],
        [outcome.job.swept[up] for outcome in outcomes],
        x_setting=across,
        y_setting=up,
        averaged=[SEED] if _differ(outcomes, SEED, [across, up]) else [],
        best=outcomes.index(table.best) if table.best in outcomes else None,
        **_measured(table, outcomes),
    )


def _by_seed(table: SweepTable) -> Figure:
    outcomes = _ended(table, SEED)
    return sweep_seeds([outcome.job.swept[SEED] for outcome in outcomes], **_measured(table, outcomes))


def _loss(table: SweepTable) -> str:
    """Return the loss whose curves are plotted: the objective if it is a loss in history.csv, else that of training.

    Without either, it is any other recorded loss; an empty string if there is none.
    """
    recorded = {name for outcome in table.outcomes for name in outcome.losses}
    wanted = (table.objective.metric if table.objective else "", "train/loss", "train_loss", *sorted(recorded))
    return next((name for name in wanted if name in recorded), "")


def _curves(table: SweepTable, outcomes: list[Outcome], loss: str) -> Figure:
    """Plot all curves of a loss, with colours for the learning rate or, if it was not swept, the first setting."""
    settings = [key for key in table.keys if key != SEED]
    # No colours for the number of epochs: the curve of a longer run continues that of a shorter one.
    telling = [key for key in settings if key != DURATION] or settings
    colour = next((key for key in telling if key.endswith(".lr")), telling[0] if telling else None)
    dash = next((key for key in telling if key != colour and 1 < _levels(outcomes, key) <= DASHES), None)
    return sweep_curves(
        [outcome.losses[loss] for outcome in outcomes],
        loss=loss,
        diverged=[outcome.status == "diverged" for outcome in outcomes],
        colours=[outcome.job.swept.get(colour) for outcome in outcomes] if colour else None,
        colour_setting=colour or "",
        dashes=[outcome.job.swept.get(dash) for outcome in outcomes] if dash else None,
        dash_setting=table.names.get(dash, ""),
    )
