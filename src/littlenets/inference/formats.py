"""Predictions as text for people, and as JSON and CSV for programs: written while they are made.

Shapes: N samples, K numbers for each.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor

from ..console.text import printable, spreadsheet_row
from ..errors import SettingError
from .inputs import Samples

# Characters of a probability of 1.
BAR_WIDTH = 40

# The column of a class, and that of its name.
_NAMED = {"class": "name", "true": "true_name"}

# A sample by column: a name, a number or a list of K numbers.
Record = dict[str, Any]


class Answer(NamedTuple):
    """A batch of samples, and what a module predicts for them: tensors (N,) or (N, K) by name.

    Where classes have names, these stand beside their numbers: ``name`` after ``class``, ``true_name`` after ``true``.
    """

    samples: Samples
    predictions: dict[str, Tensor]
    classes: Sequence[str] | None = None

    def records(self) -> Iterator[Record]:
        columns = dict(self.samples.names)
        for name, tensor in {**self.predictions, **self.samples.known}.items():
            columns[name] = _values(tensor)
            if self.classes is not None and name in _NAMED:
                columns[_NAMED[name]] = [self.classes[int(k)] for k in columns[name]]
        if self.samples.remarks is not None:
            columns["remarks"] = ["; ".join(remarks) for remarks in self.samples.remarks]
        return (dict(zip(columns, sample, strict=True)) for sample in zip(*columns.values(), strict=True))


def as_text(answers: Iterable[Answer]) -> Iterator[str]:
    """Write a line a sample; where it has a name and classes to choose from, a bar for each and any remarks as well."""
    for answer in answers:
        drawn = answer.samples.names and {"class", "probabilities"} <= answer.predictions.keys()
        yield "".join(map(partial(_chart, classes=answer.classes) if drawn else _line, answer.records()))


def as_json(answers: Iterable[Answer]) -> Iterator[str]:
    """One list of one object a sample, each on a line of its own."""
    before = "[\n"
    try:
        for answer in answers:
            yield before + ",\n".join(map(json.dumps, answer.records()))
            before = ",\n"
    except SettingError:
        # So that what was predicted before the mistake can be read.
        if before != "[\n":
            yield "\n]\n"
        raise
    yield "\n]\n"


def as_csv(answers: Iterable[Answer]) -> Iterator[str]:
    """A line a sample below a line of names; a list takes a column for each of its numbers."""
    header = None
    for answer in answers:
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        for record in answer.records():
            if header is None:
                header = [column for name, value in record.items() for column in _columns(name, value)]
                writer.writerow(header)
            writer.writerow(spreadsheet_row(cell for value in record.values() for cell in _cells(value)))
        yield lines.getvalue()


FORMATS: dict[str, Callable[[Iterable[Answer]], Iterator[str]]] = {"text": as_text, "json": as_json, "csv": as_csv}


def _values(tensor: Tensor) -> list[Any]:
    """Python's numbers, one or a list a sample; those of float32 with no more digits than tell them apart."""
    flat = tensor.flatten(1) if tensor.dim() > 1 else tensor.unsqueeze(1)  # (N, K)
    if flat.is_floating_point():
        rows = [[float(str(number)) for number in row] for row in flat.numpy()]
    else:
        rows = flat.tolist()
    return [row[0] for row in rows] if flat.shape[1] == 1 else rows


def _cells(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _columns(name: str, value: Any) -> list[str]:
    return [f"{name}_{index}" for index in range(len(value))] if isinstance(value, list) else [name]


def _line(record: Record) -> str:
    texts = {
        name: " ".join(f"{cell:.4f}" if name == "probabilities" else printable(str(cell)) for cell in _cells(value))
        for name, value in record.items()
    }
    if len(texts) == 1:
        return "".join(texts.values()) + "\n"
    return "   ".join(f"{name} {text}" for name, text in texts.items()) + "\n"


def _chart(record: Record, classes: Sequence[str] | None) -> str:
    (kind, name), *_ = record.items()
    name = printable(str(name))
    head = f"{name if kind == 'image' else f'{kind} {name}'}: {_class(record, 'class')}"
    if "true" in record:
        head += f" (truly {_class(record, 'true')})"
    block = _block()
    numbers = [str(k) for k in range(len(record["probabilities"]))]
    labels = [k.rjust(len(numbers[-1])) for k in numbers]
    if classes is not None:
        labels = [f"{label} {printable(text)}" for label, text in zip(labels, classes, strict=True)]
    width = max(map(len, labels))
    bars = [
        f"  {label:<{width}}  {block * round(BAR_WIDTH * share):<{BAR_WIDTH}} {share:6.1%}"
        for label, share in zip(labels, record["probabilities"], strict=True)
    ]
    notes = [f"  Note: {record['remarks']}"] if record.get("remarks") else []
    return "\n".join([head, *bars, *notes]) + "\n"


def _class(record: Record, column: str) -> str:
    """A class by its number, and its name where it has one."""
    name = record.get(_NAMED[column])
    return str(record[column]) if name is None else f"{record[column]} {printable(name)}"


def _block() -> str:
    """What bars are made of: a full block where the terminal can show it."""
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"
