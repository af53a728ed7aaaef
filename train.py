"""Trains one network: python train.py model=cnn trainer.max_epochs=3"""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from littlenets.cli import command
from littlenets.config.origin import Origin
from littlenets.fast_imports import fast_imports


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
@command.job
def main(config: DictConfig, folder: Path) -> dict[str, float]:
    # Torch and Lightning take seconds to import, and a typo should not.
    with fast_imports():
        from littlenets.training import train

    return train(config, folder, Origin.from_hydra()).metrics


if __name__ == "__main__":
    command.run(main)
