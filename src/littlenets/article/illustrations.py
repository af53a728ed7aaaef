"""The pictures of the page: those of runs, those over several runs, and small ones for the README."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..runs.files import write_atomically
from .measured_runs import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

# Of a figure; those of a run have 100 KB, an animation 2 MB.
MOST_BYTES = 32 << 20
KINDS = {".png": "image/png", ".gif": "image/gif"}

# Pixels: two of them beside each other fit into the README's column.
SMALL_WIDTH = 560
#: Bytes that one of the README's pictures may have: a page is read in a second.
SMALL_SIZE = 60_000
# Of a palette, most first; drawings have few.
COLOURS = (256, 128, 64, 32)

#: For the README: name of the small file, experiment, file of the figure.
README_FIGURES = (
    ("line", "linear_200_epochs", "surface.png"),
    ("two_arms", "spiral_two_arms", "regions.png"),
    ("three_arms", "spiral_on_lines", "lines.png"),
    ("digits", "mnist_digits", "predictions.png"),
)

# Of a sweep: the setting that its curves are coloured by, and the metric that is shown.
CURVES = {
    "linear_learning_rates": ("optimizer.lr", "train/loss"),
    "gradient_descent_kinds": ("data.batch_size", "train/loss"),
    "spiral_activations": ("model.network.activation", "train/loss"),
    # Their losses are in units of their own.
    "spiral_mse_against_bce": ("model.module.loss", "train/acc"),
}


def figure_of(records: Sequence[Record], name: str, run: int = 0) -> Path | None:
    """The file of a figure that one of an experiment's runs has drawn; None where it has not."""
    file = records[run].figures / name if run < len(records) else None
    # A folder may come from somebody else: nothing but a picture in it is shown.
    there = file and file.is_file() and file.resolve().is_relative_to(records[run].folder.resolve())
    return file if there and file.stat().st_size <= MOST_BYTES else None


def embedded(content: bytes, kind: str) -> str:
    """A ``data:`` address, for a page that needs no other file."""
    return f"data:{KINDS[kind]};base64,{base64.b64encode(content).decode('ascii')}"


def curves_of_sweep(experiment: str, records: Sequence[Record]) -> bytes:
    """All curves of a sweep of `CURVES` in one PNG."""
    from ..figures.sweep_curves import sweep_curves

    setting, metric = CURVES[experiment]
    figure = sweep_curves(
        [_curve(record, metric) for record in records],
        loss=metric,
        diverged=[record.status == "diverged" for record in records],
        colours=[_typed(record.override(setting) or "") for record in records],
        colour_setting=setting.rpartition(".")[2],
    )
    return _png(figure)


def activation_functions() -> bytes:
    """ReLU, tanh and sigmoid with their gradients, PNG."""
    from ..figures.activations import functions

    return _png(functions())


def _png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def _curve(record: Record, metric: str) -> tuple[list[int], list[float]]:
    values = record.column(metric)
    return list(range(1, len(values) + 1)), values


def _typed(value: str) -> float | str:
    """Rates are numbers, so that they are sorted by size; batches of all samples are ``null``."""
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def write_small(figures: Mapping[str, Path], folder: Path) -> list[Path]:
    """Small copies of figures, each below `SMALL_SIZE`.

    Args:
        figures: files by the name that the copy gets.
        folder: made where it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, file in figures.items():
        written.append(folder / f"{name}.png")
        write_atomically(written[-1], shrunk(file.read_bytes()))
    return written


def shrunk(image: bytes) -> bytes:
    """A PNG `SMALL_WIDTH` wide with as many of its colours as `SMALL_SIZE` has room for."""
    import PIL.Image

    with PIL.Image.open(io.BytesIO(image)) as opened:
        picture = opened.convert("RGB")
    height = round(picture.height * SMALL_WIDTH / picture.width)
    picture = picture.resize((SMALL_WIDTH, height), PIL.Image.Resampling.LANCZOS)
    content = _as_png(picture)
    for colours in COLOURS:
        if len(content) < SMALL_SIZE:
            break
        content = _as_png(picture.quantize(colours, dither=PIL.Image.Dither.NONE))
    return content


def _as_png(picture: "Image") -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()
