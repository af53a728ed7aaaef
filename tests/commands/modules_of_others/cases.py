"""The modules of others: one YAML file each, and what is special about them."""

from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
#: Where the YAML files are, as an override.
FILES = f"hydra.searchpath=[file://{HERE / 'conf'}]"


class Case(NamedTuple):
    """A choice of conf/model/.

    Args:
        trust: the module of Python that a saved run names.
        swept: overrides of a sweep of two.
        objective: what it logs, to compare them by.
        recorded: columns of history.csv.
    """

    trust: str
    swept: str
    objective: str
    recorded: set[str]


CASES = {
    "gan": Case("other_gan", "model.module.lr=0.001,0.02", "g_loss", {"g_loss", "d_loss", "lr", "lr_2"}),
    "vae_task": Case(
        "other_vae",
        "model.module.beta=0.1,1",
        "val/error",
        {"train/loss", "train/error", "train/kl", "val/loss", "val/error", "val/kl", "lr"},
    ),
    "vae": Case(
        "other_vae",
        "model.module.latent=1,2",
        "val/kl",
        {"train/loss", "train/error", "train/kl", "val/loss", "val/error", "val/kl", "lr"},
    ),
    "lstm": Case("other_lstm", "model.module.hidden=2,8", "val_acc", {"train_loss", "val_loss", "val_acc", "lr"}),
}
