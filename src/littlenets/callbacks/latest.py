"""The link ``latest`` beside the run folders."""

from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from ..runs.files import point_link


class Latest(Callback):
    """Points ``latest`` to a run when its first step is about to be taken: one that is refused before is no run."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            folder = Path(trainer.default_root_dir).resolve()
            point_link(folder.parent / "latest", folder)
