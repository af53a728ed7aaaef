"""Format predictions as text, JSON or CSV while they are computed.

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

# Length in characters of the bar for a probability of 1.
BAR_WIDTH = 40

# For each column with a class, the column with the name of this class.
_NAMED = {"class": "name", "true": "true_name"}

# One sample: for each column a name, a number or a list of K numbers.
Record = dict[str, Any]


class Answer(NamedTuple):
    """A batch of samples and a module's predictions for them: tensors (N,) or (N, K) by name.

    If the classes have names, a column with names follows each column with class numbers: ``name`` follows ``class``,
    and ``true_name`` follows ``true``.
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
    """Yield one line per sample; for a classifier and samples with names, also a bar per class and any remarks."""
    for answer in answers:
        drawn = answer.samples.names and {"class", "probabilities"} <= answer.predictions.keys()
        yield "".join(map(partial(_chart, classes=answer.classes) if drawn else _line, answer.records()))


def as_json(answers: Iterable[Answer]) -> Iterator[str]:
    """Yield one JSON list with one object per sample, each on its own line."""
    before = "[\n"
    try:
        for answer in answers:
            yield before + ",\n".join(map(json.dumps, answer.records()))
            before = ",\n"
    except SettingError:
        # Close the list, so that the predictions before the error are valid JSON.
        if before != "[\n":
            yield "\n]\n"
        raise
    yield "\n]\n"


def as_csv(answers: Iterable[Answer]) -> Iterator[str]:
    """Yield a header line and one line per sample; a list of K numbers takes K columns."""
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
    """Return Python numbers, one or a list per sample; float32 is rounded to the digits that identify it."""
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
    """Return a class's number, followed by its name if it has one."""
    name = record.get(_NAMED[column])
    return str(record[column]) if name is None else f"{record[column]} {printable(name)}"


def _block() -> str:
    """Return the character that bars consist of: a full block if the terminal can show it, else ``#``."""
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"
