"""What a prediction is asked for: batches of inputs, and what each input is called."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor


class Samples(NamedTuple):
    """A batch of N inputs."""

    #: What the network takes, (N, ...); or a batch in the form that the data's loader gives it.
    x: Any
    #: What an error calls the sample with an index in 0..N-1.
    place: Callable[[int], str]
    #: What stands before the predictions, by name: a list of N.
    names: dict[str, list[Any]]
    #: What the predictions should be, by name: (N, ...).
    known: dict[str, Tensor]
    #: What is unusual for each, a list of N; None where nothing is looked for.
    remarks: list[list[str]] | None = None

    def first(self, count: int) -> "Samples":
        """Those before the one with the index ``count``."""
        names = {name: column[:count] for name, column in self.names.items()}
        known = {name: column[:count] for name, column in self.known.items()}
        remarks = None if self.remarks is None else self.remarks[:count]
        return Samples(self.x[:count], self.place, names, known, remarks)
