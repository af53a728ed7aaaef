"""Figures of an image classifier's predictions and mistakes.

Shapes: N pictures, C channels, H W pixels, K classes.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .style import (
    BLUE,
    GREY,
    LIGHT_GREY,
    VERMILLION,
    WIDTH,
    frame_without_ticks,
    heading,
    label,
    new_figure,
    numbers,
    title,
)

COLUMNS, ROWS = 5, 2
# Maximum number of class names in a figure, and maximum length of one; more or longer names do not fit.
MOST_NAMES, LONGEST_NAME = 64, 16


class Images(Protocol):
    """Pictures that are indexed by their numbers, like a tensor (N, C, H, W)."""

    def __getitem__(self, chosen: Sequence[int] | Tensor) -> Tensor: ...


def predictions(images: Images, labels: Tensor, probabilities: Tensor, names: Sequence[str] | None = None) -> Figure:
    """Draw ten of N pictures with the probabilities of their classes; one picture of each class comes first.

    Args:
        images: pictures (N, C, H, W).
        labels: true classes, int64 (N,).
        probabilities: probability of each class, (N, K).
        names: names of the classes; None if they have only numbers.
    """
    # Order the pictures: first the first picture of every class, then the second of every class, and so on.
    seen: dict[int, int] = {}
    turn = []
    for index, k in enumerate(labels.tolist()):
        seen[k] = seen.get(k, 0) + 1
        turn.append((seen[k], k, index))
        if len(seen) == probabilities.shape[1] and seen[k] > COLUMNS * ROWS:
            break
    chosen = [index for _, _, index in sorted(turn)[: COLUMNS * ROWS]]
    text = "Pictures of the test and their probabilities"
    return _cells(images[chosen], labels[chosen], probabilities[chosen], text, names)


def mistakes(
    images: Images, labels: Tensor, probabilities: Tensor, names: Sequence[str] | None = None
) -> Figure | None:
    """Draw the ten wrong predictions with the highest probability; return None if all predictions are right.

    Args:
        images: pictures (N, C, H, W).
        labels: true classes, int64 (N,).
        probabilities: probability of each class, (N, K).
        names: names of the classes; None if they have only numbers.
    """
    confidence, answer = probabilities.max(dim=1)
    wrong = (answer != labels).nonzero()[:, 0]
    if not len(wrong):
        return None
    chosen = wrong[confidence[wrong].argsort(descending=True, stable=True)][: COLUMNS * ROWS]
    text = f"The most confident of {len(wrong):,} mistake{'s' * (len(wrong) > 1)} in {len(labels):,} pictures"
    return _cells(images[chosen], labels[chosen], probabilities[chosen], text, names)


def confusion(labels: Tensor, answers: Tensor, classes: int, names: Sequence[str] | None = None) -> Figure:
    """Draw the confusion matrix: how often each class was predicted for each true class.

    Args:
        labels: true classes, int64 (N,).
        answers: predicted classes, int64 (N,).
        classes: number of classes K.
        names: names of the classes; None if they have only numbers.
    """
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (labels.cpu().numpy(), answers.cpu().numpy()), 1)
    figure = new_figure(5.9)
    ax = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Show the square root of the share, so that a mistake in a thousand is visible; on a linear scale it would look
    # white.
    ax.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1.15)
    if classes <= 20:
        for row, column in np.ndindex(classes, classes):
            if counts[row, column]:
                ax.text(
                    *(column, row, f"{counts[row, column]:,}"),
                    ha="center",
                    va="center",
                    fontsize=9 if classes <= 10 else 6.5,
                    color="white" if share[row, column] > 0.3 else "black",
                )
    label(ax, "answer", "true class")
    if names is not None and classes <= MOST_NAMES:
        size = 8 if classes <= 20 else 5
        shown = [shortened(name) for name in names]
        ax.set_xticks(range(classes), shown, fontsize=size, rotation=90 if max(map(len, shown)) > 2 else 0)
        ax.set_yticks(range(classes), shown, fontsize=size)
    elif classes <= 20:
        ax.set_xticks(range(classes))
        ax.set_yticks(range(classes))
    right = int(counts.trace())
    title(ax, f"{right:,} of {len(labels):,} right ({100 * right / max(len(labels), 1):.2f}%)")
    return figure


def picture(image: Tensor) -> np.ndarray:
    """Return a picture (C, H, W) of any range as an array for ``imshow``, scaled to 0..1."""
    pixels = numbers(image)
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / (high - low or 1)
    return pixels[0] if len(pixels) != 3 else pixels.transpose(1, 2, 0)


def shortened(name: str) -> str:
    """Shorten a name that is too long for a figure, and remove "$", which matplotlib would interpret as a formula."""
    name = name.replace("$", "")
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _cells(images: Tensor, labels: Tensor, probabilities: Tensor, text: str, names: Sequence[str] | None) -> Figure:
    rows = -(-len(images) // COLUMNS)
    height = 0.35 + rows * 2.1 + 0.3
    figure = new_figure(height, constrained=False)
    width = WIDTH / COLUMNS
    for index, (image, k, values) in enumerate(zip(images, labels.tolist(), probabilities, strict=True)):
        row, column = divmod(index, COLUMNS)
        left, top = column * width + 0.08, height - 0.35 - row * 2.1
        cell = width - 0.16
        shown = figure.add_axes(
            ((left + 0.12) / WIDTH, (top - 0.22 - 0.8) / height, (cell - 0.24) / WIDTH, 0.8 / height)
        )
        shown.imshow(picture(image), cmap="gray_r", interpolation="nearest")
        frame_without_ticks(shown)
        answer = int(values.argmax())
        share = f"({100 * values[answer]:.0f}%)"
        if names is None:
            verdict = f"{answer}" if answer == k else f"{answer}, is {k}"
            shown.set_title(f"{verdict} {share}", fontsize=9, pad=3)
        else:
            truth = "" if answer == k else f"\nis {shortened(names[k])}"
            shown.set_title(f"{shortened(names[answer])} {share}{truth}", fontsize=7, pad=2)
        _bars(figure.add_axes((left / WIDTH, (top - 1.83) / height, cell / WIDTH, 0.72 / height)), values, k, answer)
    heading(figure, text, left=0.08, above=0.08)
    figure.text(0.08 / WIDTH, 0.08 / height, "Bars: probability of each class, 0 to 100%.", fontsize=9, va="bottom")
    for place, colour, name in ((3.35, BLUE, "true class"), (4.4, VERMILLION, "wrong answer")):
        figure.text(place / WIDTH, 0.08 / height, "■ ", fontsize=9, color=colour, va="bottom")
        figure.text((place + 0.15) / WIDTH, 0.08 / height, name, fontsize=9, va="bottom")
    return figure


def _bars(ax: Axes, probabilities: Tensor, true: int, answer: int) -> None:
    classes = len(probabilities)
    colours = [BLUE if k == true else VERMILLION if k == answer else GREY for k in range(classes)]
    ax.bar(range(classes), numbers(probabilities), color=colours, width=0.8)
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    ax.set_xticks(range(classes) if classes <= 10 else [])
    ax.tick_params(labelsize=7.5, length=0, pad=2)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(LIGHT_GREY)
