"""Select the hyperparameters shown in tables and TensorBoard."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ..config.labels import short_names
from ..config.values import shown

GROUPS = ("model", "data", "optimizer", "scheduler", "trainer")
# Shown in addition to all settings of the network and the module.
TELLING = {
    *("optimizer", "optimizer.lr", "scheduler", "trainer.max_epochs"),
    *("data.batch_size", "data.n_points", "data.noise"),
}


def telling_settings(
    config: DictConfig, model: str, data: str, overrides: Sequence[str] = ()
) -> dict[str, str | float | int | bool]:
    """Return the hyperparameters by short name, such as ``lr``, for tables that compare runs.

    An optimizer or a schedule is represented by the name of its class, and lists by text; unset settings are left out.

    Args:
        config: the configuration of the run.
        model: the choice of conf/model/.
        data: the choice of conf/data/ that was trained on in the end.
        overrides: the overrides on the command line; their settings are always included.
    """
    spoken = {override.lstrip("+~").partition("=")[0] for override in overrides}
    told: dict[str, Any] = {}
    for group in GROUPS:
        node = config.get(group)
        for key, value in _leaves(group, OmegaConf.to_container(node, resolve=True) if node else {}).items():
            telling = key in TELLING or key.startswith(("model.network.", "model.module."))
            if key in spoken or (telling and value is not None):
                told[key] = value if isinstance(value, int | float | str) else shown(value)
    for group in ("model", "data"):
        told.pop(group, None)  # shown by the choice of the group, not by the class
    names = short_names(list(told))
    return {"model": model, "data": data, "seed": config.seed, **{names[key]: told[key] for key in told}}


def _leaves(prefix: str, node: Any) -> dict[str, Any]:
    """Return values by dotted name; a node with ``_target_`` is represented by the name of its class."""
    if not isinstance(node, dict):
        return {prefix: node}
    leaves = {}
    for key, value in node.items():
        if key == "_target_":
            leaves[prefix] = value.rpartition(".")[2]
        elif not key.startswith("_"):
            leaves.update(_leaves(f"{prefix}.{key}", value))
    return leaves
