"""Batches of inputs for predictions, with the names and places of the inputs."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor


class Samples(NamedTuple):
    """A batch of N inputs."""

    #: The network's inputs, (N, ...); or a batch in the form that the data's loader yields.
    x: Any
    #: Returns the place of the sample with an index in 0..N-1, for error messages.
    place: Callable[[int], str]
    #: Columns before the predictions, by name: each a list of length N.
    names: dict[str, list[Any]]
    #: Targets, that is, the correct predictions, by name: each a tensor (N, ...).
    known: dict[str, Tensor]
    #: Remarks on what is unusual in each sample, a list of length N; None if the samples were not checked.
    remarks: list[list[str]] | None = None

    def first(self, count: int) -> "Samples":
        """Return the first ``count`` samples."""
        names = {name: column[:count] for name, column in self.names.items()}
        known = {name: column[:count] for name, column in self.known.items()}
        remarks = None if self.remarks is None else self.remarks[:count]
        return Samples(self.x[:count], self.place, names, known, remarks)
