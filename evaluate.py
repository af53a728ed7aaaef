"""Measures a trained network: python evaluate.py run=outputs/runs/cnn/latest"""

from typing import Any

import hydra
from omegaconf import DictConfig

from littlenets.cli import command
from littlenets.config.origin import Origin
from littlenets.fast_imports import fast_imports


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
@command.tool
def main(config: DictConfig) -> dict[str, Any]:
    with fast_imports():
        from littlenets.evaluation import evaluate

    return evaluate(config, Origin.from_hydra())


if __name__ == "__main__":
    command.run(main)
