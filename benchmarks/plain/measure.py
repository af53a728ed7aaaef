"""What the plain scripts share, none of it inside their training loops: arguments, data, and the report."""

import argparse
import json
import math
import time
from pathlib import Path

import torch


def parse(epochs: int) -> argparse.Namespace:
    """The arguments of every script."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None, help="default: PyTorch's own choice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data", default="data", help="torchvision's data folder")
    parser.add_argument("--out", type=Path, default=Path("model.pt"))
    parser.add_argument("--report", type=Path, default=None, help="where to write the figures, as JSON")
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    # The time of day, so that whoever stops the script for a while can tell how much of the loop that was.
    args.clock = time.time
    return args


def spiral_arms(arms: int, points: int = 1000, noise: float = 0.2) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (N, 2) on arms equally turned around the origin, and the arm (N,) of each."""
    label = torch.arange(arms).repeat_interleave(points)
    theta = 2 * math.pi * torch.rand(len(label)).sqrt()
    radius = 2 * theta + math.pi
    angle = theta + 2 * math.pi * label / arms
    x = radius.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], dim=1)
    return x + noise * torch.randn_like(x), label


def finish(args: argparse.Namespace, loop: tuple[float, float], quality: tuple[str, float], history: dict) -> None:
    """Prints what came of it, and writes it where asked; ``loop``: when the training loop began and ended."""
    report = {
        "loop": loop,
        "threads": torch.get_num_threads(),
        "quality": list(quality),
        "last": {name: values[-1] for name, values in history.items()},
    }
    if args.report:
        args.report.write_text(json.dumps(report))
    print(f"{args.epochs} epochs in {loop[1] - loop[0]:.2f} s, {quality[0]} {quality[1]:.6g}")
