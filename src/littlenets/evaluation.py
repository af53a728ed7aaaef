"""Evaluate the network of a run on test data, overall and by class.

Shapes: N samples, K classes.
"""

import json
import logging
import os
import signal
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Lt
from omegaconf import DictConfig, OmegaConf, open_dict
from pydantic import AfterValidator
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.plugins import Precision
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor

from .config.accelerators import present
from .config.check import check_settings
from .config.origin import Origin
from .config.trust import check_links
from .data import TensorLoader
from .data.class_names import class_names
from .data.samples import lacks, loaders_of
from .errors import SettingError, StoppedError
from .instantiation import build_all, check_fit
from .modules import SupervisedModule
from .ranges import Count
from .runs.files import write_atomically
from .runs.folder import file_name
from .runs.loading import SavedRun, load_datamodule, load_module, load_run
from .runs.summary import evaluation_lines

log = logging.getLogger(__name__)

SETTINGS: dict[str, Any] = {
    "checkpoint": Literal["last", "best"],
    "seed": Annotated[int, Ge(0), Lt(2**32)] | None,
    "accelerator": Annotated[str, AfterValidator(present)],
    "threads": Count | Literal["auto"],
    "trust": Sequence[str],
}


def evaluate(config: DictConfig, origin: Origin) -> dict[str, Any]:
    """Test the network of a run; return the result, which is also written to the run's folder ``evaluations``.

    Args:
        config: a configuration composed from ``conf/evaluate.yaml``.
        origin: how it was composed.

    Raises:
        SettingError: a setting is wrong, the run or the data is unavailable, or they do not fit each other.
    """
    check_settings(config, SETTINGS)
    saved = load_run(config.run, config.checkpoint, config.trust)
    check_links(saved.folder)
    module = load_module(saved)
    name, saved = choose_data(saved, config, origin.choices.get("data"))
    datamodule = load_datamodule(saved)
    if lacks(datamodule, "test"):
        raise SettingError(f"data={name}: there is nothing to test on. Choose other data (data=...).")
    check_fit(module, datamodule, name)
    if not is_overridden("test_step", module):
        raise SettingError(f"{type(module).__name__} has no test_step, so there is nothing to evaluate.")
    torch.set_num_threads(threads(config, saved))
    classes = getattr(datamodule, "classes", None)
    answers = _Answers(classes, class_names(datamodule)) if classes else None
    trainer = Trainer(
        accelerator=config.accelerator,
        devices=1,
        # Settings of the run that affect the metrics.
        precision=saved.config.trainer.get("precision", "32-true"),
        plugins=[one for one in build_all(saved.config.trainer.get("plugins")) if isinstance(one, Precision)],
        deterministic=saved.config.trainer.get("deterministic", True),
        inference_mode=saved.config.trainer.get("inference_mode", True),
        callbacks=[answers] if answers else [],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=saved.folder,
    )
    metrics = test(trainer, module, datamodule)
    evaluation = {
        "run": os.path.relpath(saved.folder),
        "checkpoint": saved.checkpoint.name,
        "data": name,
        "samples": count_samples(datamodule),
        "metrics": metrics,
        **(answers.by_class() if answers else {}),
        "data_config": OmegaConf.to_container(saved.config.data),
    }
    log.info("\n".join(evaluation_lines(evaluation)))
    changes = [override for override in origin.overrides if _decides_data(override)]
    file = saved.folder / "evaluations" / f"{file_name([saved.checkpoint.stem, *changes])}.json"
    file.parent.mkdir(exist_ok=True)
    write_atomically(file, json.dumps(evaluation, indent=2) + "\n")
    log.info("Stored in %s", os.path.relpath(file))
    return evaluation


def _decides_data(override: str) -> bool:
    key = override.lstrip("+~").partition("=")[0]
    return key.partition(".")[0] in ("data", "seed")


def test(trainer: Trainer, module: LightningModule, datamodule: LightningDataModule) -> dict[str, float]:
    """Return the test metrics by name; empty if there is no test data or the module has no ``test_step``.

    Raises:
        StoppedError: the user interrupted the test with Ctrl-C or SIGTERM.
    """
    if lacks(datamodule, "test") or not is_overridden("test_step", module):
        return {}
    try:
        trainer.test(module, datamodule=datamodule, verbose=False)
    except SystemExit as end:
        # Lightning turns the interruption into SystemExit.
        raise StoppedError(getattr(end.__context__, "signal", signal.SIGINT)) from None
    return measured(trainer)


def measured(trainer: Trainer) -> dict[str, float]:
    """Return the metrics of the stage that has just ended."""
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


def choose_data(saved: SavedRun, config: DictConfig, chosen: str | None) -> tuple[str, SavedRun]:
    """Return the name of the test data, and the run with that data in its configuration.

    ``data=NAME`` selects other data; ``+data.KEY=VALUE`` without it changes the run's own data, and so does ``seed``.
    """
    seed = config.seed
    with open_dict(config):
        config.seed = saved.config.seed if seed is None else seed
    data = config.get("data")
    changes = OmegaConf.to_container(data, resolve=True) if data else {}
    if not chosen and seed is not None:
        changes.setdefault("seed", seed)
    if not changes:
        return saved.config.origin.data, saved
    changed = saved.config.copy()
    changed.data = changes if chosen else OmegaConf.merge(saved.config.data, changes)
    return chosen or saved.config.origin.data, saved._replace(config=changed)


def threads(config: DictConfig, saved: SavedRun) -> int:
    """Return the number of CPU threads; auto is that of the run, since the order of sums affects the last digit."""
    if config.threads != "auto":
        return config.threads
    return (saved.results.get("environment") or {}).get("threads") or torch.get_num_threads()


def count_samples(datamodule: LightningDataModule) -> int | None:
    """Return the number of test samples; None if a loader does not provide it."""
    loaders = loaders_of(datamodule.test_dataloader())
    try:
        return sum(len(loader.x if isinstance(loader, TensorLoader) else loader.dataset) for loader in loaders)
    except (AttributeError, TypeError):
        return None


class _Answers(Callback):
    """Callback that computes the confusion matrix during a test.

    Args:
        classes: number of classes.
        names: names of the classes.
    """

    def __init__(self, classes: int, names: Sequence[str] | None) -> None:
        self._confusion = torch.zeros(classes, classes, dtype=torch.int64)  # (K, K): true class, predicted class
        self._names, self._counted = names, True

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        told = None
        if self._counted and isinstance(pl_module, SupervisedModule) and isinstance(outputs, Tensor):
            told = pl_module.predictions(outputs).get("class")
        y = batch[1] if isinstance(batch, tuple | list) and len(batch) == 2 else None
        if told is None or not isinstance(y, Tensor) or y.shape != told.shape:
            # The module does not predict one class for each sample.
            self._counted = False
            return
        classes = len(self._confusion)
        pairs = torch.bincount(y.cpu() * classes + told.cpu(), minlength=classes**2)  # (K * K,)
        self._confusion += pairs.view(classes, classes)

    def by_class(self) -> dict[str, Any]:
        """Return accuracy and precision by class, and the confusion matrix; empty if no classes were predicted."""
        if not self._counted:
            return {}
        hits = self._confusion.diagonal()
        true, predicted = self._confusion.sum(dim=1), self._confusion.sum(dim=0)
        rows = [
            {
                "class": index,
                **({"name": self._names[index]} if self._names else {}),
                "samples": int(true[index]),
                # null where the denominator is zero
                "acc": hits[index].item() / true[index].item() if true[index] else None,
                "precision": hits[index].item() / predicted[index].item() if predicted[index] else None,
            }
            for index in range(len(hits))
        ]
        return {"classes": rows, "confusion": self._confusion.tolist()}
