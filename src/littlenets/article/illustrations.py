"""Pictures for the page: figures of single runs, figures over several runs, and small copies for the README."""

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

# Maximum size of a figure in bytes; the figures of a run have 100 KB, an animation 2 MB.
MOST_BYTES = 32 << 20
KINDS = {".png": "image/png", ".gif": "image/gif"}

# Width in pixels: two pictures side by side fit into the README's column.
SMALL_WIDTH = 560
#: Maximum size in bytes of a picture in the README, so that the page loads in a second.
SMALL_SIZE = 60_000
# Numbers of colours of a palette, tried in this order; drawings have few colours.
COLOURS = (256, 128, 64, 32)

#: Pictures for the README: name of the small file, experiment, file of the figure.
README_FIGURES = (
    ("line", "linear_200_epochs", "surface.png"),
    ("two_arms", "spiral_two_arms", "regions.png"),
    ("three_arms", "spiral_on_lines", "lines.png"),
    ("digits", "mnist_digits", "predictions.png"),
)

# For each sweep: the setting shown by the colour of its curves, and the metric shown.
CURVES = {
    "linear_learning_rates": ("optimizer.lr", "train/loss"),
    "gradient_descent_kinds": ("data.batch_size", "train/loss"),
    "spiral_activations": ("model.network.activation", "train/loss"),
    # Accuracy, since the two losses have different units.
    "spiral_mse_against_bce": ("model.module.loss", "train/acc"),
}


def figure_of(records: Sequence[Record], name: str, run: int = 0) -> Path | None:
    """Return the file of a figure that a run of an experiment has drawn; None if it does not exist or is too large.

    Args:
        records: runs of the experiment.
        name: file name of the figure.
        run: position of the run in ``records``.
    """
    file = records[run].figures / name if run < len(records) else None
    # The folder may come from another person: embed only files that lie inside it.
    there = file and file.is_file() and file.resolve().is_relative_to(records[run].folder.resolve())
    return file if there and file.stat().st_size <= MOST_BYTES else None


def embedded(content: bytes, kind: str) -> str:
    """Return a ``data:`` URL, so that the page needs no other file.

    Args:
        content: content of the picture file.
        kind: its suffix, ``.png`` or ``.gif``.
    """
    return f"data:{KINDS[kind]};base64,{base64.b64encode(content).decode('ascii')}"


def curves_of_sweep(experiment: str, records: Sequence[Record]) -> bytes:
    """Draw all curves of a sweep in `CURVES`; return the PNG."""
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
    """Draw ReLU, tanh and sigmoid with their gradients; return the PNG."""
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
    """Convert the text of a finite number to float, so that learning rates are sorted by size.

    Other texts, such as ``null`` for a batch of all samples, are returned unchanged.
    """
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def write_small(figures: Mapping[str, Path], folder: Path) -> list[Path]:
    """Write small copies of figures, each smaller than `SMALL_SIZE`, and return their files.

    Args:
        figures: files of the figures by the names of the copies.
        folder: folder of the copies; created if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, file in figures.items():
        written.append(folder / f"{name}.png")
        write_atomically(written[-1], shrunk(file.read_bytes()))
    return written


def shrunk(image: bytes) -> bytes:
    """Return a PNG of width `SMALL_WIDTH`, with fewer colours if it would otherwise be larger than `SMALL_SIZE`."""
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
