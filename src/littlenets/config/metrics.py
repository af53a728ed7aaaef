"""Predict the metrics that a run will measure, and check settings that refer to metrics.

PyTorch is not imported at module level, because the main process of a sweep works without it and only reads the
results of its workers.
"""

import functools
import json
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.errors import InstantiationException

from .constructors import find, instantiate
from .suggestions import nearest

if TYPE_CHECKING:
    from ..modules import Step, SupervisedModule


class Expected(NamedTuple):
    """Names of the metrics that a run is expected to measure.

    Args:
        training: metrics that callbacks can monitor, without those of the validation.
        validation: metrics of the validation, also if there is no validation set.
        validated: whether there is a validation set.
        tested: metrics of the tests after training.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...]
    validated: bool
    tested: tuple[str, ...] = ()

    @property
    def monitored(self) -> tuple[str, ...]:
        """The metrics that callbacks can monitor."""
        return self.training + self.validation * self.validated

    def missing(self, metric: str, there: Sequence[str]) -> str:
        """Return advice about a metric that will not be measured, as the end of an error message.

        Args:
            metric: the name of the metric.
            there: names of the metrics that will be measured.
        """
        near = nearest(metric, dict.fromkeys([*there, *self.validation]))
        if not self.validated and (metric if metric in self.validation else near) in self.validation:
            meant = "" if metric in self.validation else f"did you mean {near}? "
            return f"{meant}it needs a validation set, such as data.validation=0.2. There are {', '.join(there)}."
        return f"did you mean {near}? There are {', '.join(there)}." if near else f"there are {', '.join(there)}."


def logs_what_is_known(kind: type) -> bool:
    """Return whether a class logs only metrics that `Expected` contains; a class of the user may log others."""
    package = kind.__module__.partition(".")[0]
    return package == "littlenets" or (package == "pytorch_lightning" and kind.__name__ != "LearningRateMonitor")


def expected_metrics(values: dict[str, Any]) -> Expected | None:
    """Return the metrics that a run with these resolved settings will measure; None if they cannot be predicted."""
    nodes = [node for node in (values.get("callbacks") or {}).values() if isinstance(node, dict)]
    try:
        kinds = [find(node["_target_"]) for node in [values["model"]["module"], *nodes] if "_target_" in node]
    except (InstantiationException, ImportError):
        return None
    if not all(map(logs_what_is_known, kinds)):
        return None
    found = _measured(json.dumps([values["model"], values["data"] | {"seed": 0}], default=str))
    if found is None:
        return None
    if any(node.get("norm") is True and node.get("_target_") == "littlenets.callbacks.Gradients" for node in nodes):
        found = found._replace(training=(*found.training, "gradient_norm"))
    trainer = values["trainer"]
    if trainer.get("limit_val_batches") == 0:
        found = found._replace(validated=False)
    others = [name.replace("test/", f"{other}/", 1) for other in values.get("also_test") or () for name in found.tested]
    return found._replace(tested=() if trainer.get("limit_test_batches") == 0 else (*found.tested, *others))


@functools.lru_cache(maxsize=1024)
def _measured(nodes: str) -> Expected | None:
    import torch

    from ..data import TensorDataModule
    from .fit import evaluating

    model, data = json.loads(nodes)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        try:
            datamodule = instantiate(data)
            if not isinstance(datamodule, TensorDataModule) or datamodule.sample_shape is None:
                return None
            network = instantiate(model["network"])
            module = instantiate(model["module"], network=network, optimizer=None, scheduler=None)
            x = torch.zeros(2, *datamodule.sample_shape, dtype=datamodule.sample_dtype)
            with evaluating(module):
                y = module(x) if datamodule.classes is None else torch.zeros(2, dtype=torch.int64)
                measured = module.step((x, y))
            # A datamodule that overrides setup may have its own validation set.
            validated = datamodule.validation > 0 or type(datamodule).setup is not TensorDataModule.setup
            expected = expected_of(module, measured, validated, getattr(network, "watched", dict)())
        except Exception:  # the user's code may raise any error; it is raised again when training starts
            return None
    return expected._replace(tested=tuple(name.replace("val/", "test/", 1) for name in expected.validation))


def unknown_monitors(values: dict[str, Any]) -> dict[str, str]:
    """Return an error message for each callback or scheduler whose metric will not be measured, by dotted key.

    Args:
        values: the resolved configuration as plain containers.
    """
    problems = {}
    nodes = {f"callbacks.{name}": node for name, node in (values.get("callbacks") or {}).items()}
    for place, node in {**nodes, "scheduler": values.get("scheduler")}.items():
        monitor = node.get("monitor") if isinstance(node, dict) else None
        if not isinstance(monitor, str) or node.get("strict") is False:
            continue
        expected = expected_metrics(values)
        if expected is not None and monitor not in monitorable(find(node["_target_"]), expected):
            key = f"{place}.monitor"
            problems[key] = f"{key}={monitor}: {NOT_MEASURED}; {expected.missing(monitor, expected.monitored)}"
    return problems


NOT_MEASURED = "this will not be measured during training"


def monitorable(kind: type, expected: Expected) -> tuple[str, ...]:
    """Return the names that a callback class can monitor; `ModelCheckpoint` also accepts "epoch" and "step"."""
    from pytorch_lightning.callbacks import ModelCheckpoint

    counted = ("epoch", "step") if issubclass(kind, ModelCheckpoint) else ()
    return expected.monitored + counted


def unmeasured_objective(objective: str, runs: Sequence[Expected | None]) -> str | None:
    """Return an error message if no run of a sweep will measure the objective; None otherwise, or if unknown.

    Args:
        objective: name of the metric by which runs are compared.
        runs: the expected metrics of each run; None for a run whose metrics cannot be predicted.
    """
    known = [run for run in runs if run is not None]
    names = list(dict.fromkeys(name for run in known for name in (*run.monitored, *run.tested)))
    if not runs or len(known) < len(runs) or objective in names:
        return None
    return f"sweep.objective={objective}: no run will have this metric; {known[0].missing(objective, names)}"


def expected_of(module: "SupervisedModule", step: "Step", validated: bool, watched: Iterable[str]) -> Expected:
    """Return the metrics that a module will measure.

    Args:
        module: a module that does not override the logging of `SupervisedModule`.
        step: result of its `step` with any batch.
        validated: whether there is a validation set.
        watched: names of the quantities watched by the network and callbacks.
    """
    names = ["loss", *step.totals]
    return Expected(
        (*(f"train/{name}" for name in names), "lr", *watched),
        (*(f"val/{name}" for name in names), *module.val_metrics),
        validated,
    )
