"""Tells what came of runs, from their folders alone: python report.py sweep=outputs/sweeps/linear/..."""

import hydra
from omegaconf import DictConfig

from littlenets.cli import command


@hydra.main(version_base="1.3", config_path="conf", config_name="report")
@command.tool
def main(config: DictConfig) -> None:
    from littlenets.cli.reporting import report

    report(config)


if __name__ == "__main__":
    command.run(main)
