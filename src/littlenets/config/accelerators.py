"""Validate names of Lightning's accelerators and strategies. Lightning is imported on first use."""

from functools import cache

from .suggestions import nearest


def known(name: str) -> str:
    """Return the name of an accelerator unchanged if it is valid.

    Raises:
        ValueError: Lightning has no accelerator with that name.
    """
    from pytorch_lightning.accelerators import AcceleratorRegistry

    return _one_of(["auto", "gpu", *sorted(AcceleratorRegistry)], name)


def known_strategy(name: str) -> str:
    """Return the name of a strategy unchanged if it is valid.

    Raises:
        ValueError: Lightning has no strategy with that name.
    """
    from pytorch_lightning.strategies import StrategyRegistry

    return _one_of(["auto", *sorted(StrategyRegistry)], name)


def _one_of(names: list[str], name: str) -> str:
    if name not in names:
        near = nearest(name, names)
        # Leave out variants: Lightning registers a strategy again for each of its find_unused_parameters settings.
        listed = ", ".join(one for one in names if "find_unused" not in one)
        raise ValueError(f"it should be one of {listed}{f'; did you mean {near}?' if near else ''}")
    return name


def present(name: str) -> str:
    """Return the name of an accelerator unchanged if this machine has one.

    Raises:
        ValueError: Lightning has no accelerator with that name, or this machine does not have one.
    """
    there = _there()
    if known(name) not in ("auto", *there) and not (name == "gpu" and {"cuda", "mps"} & set(there)):
        raise ValueError(f"this machine has none; it has {', '.join(there)}, and auto takes what there is")
    return name


@cache
def _there() -> list[str]:
    from pytorch_lightning.accelerators import AcceleratorRegistry

    return [name for name, entry in sorted(AcceleratorRegistry.items()) if entry["accelerator"].is_available()]
