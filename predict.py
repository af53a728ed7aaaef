"""Asks a trained network: python predict.py run=outputs/runs/linear/latest x=20"""

import hydra
from omegaconf import DictConfig

from littlenets.cli import command
from littlenets.fast_imports import fast_imports


@hydra.main(version_base="1.3", config_path="conf", config_name="predict")
@command.tool
def main(config: DictConfig) -> None:
    with fast_imports():
        from littlenets.prediction import predict

    predict(config)


if __name__ == "__main__":
    command.run(main)
