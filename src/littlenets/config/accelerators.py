"""The kinds of device, and ways to use several, that Lightning knows. Lightning is imported on first use."""

from functools import cache

from .suggestions import nearest


def known(name: str) -> str:
    """The name of an accelerator, as it came.

    Raises:
        ValueError: Lightning knows none of that name.
    """
    from pytorch_lightning.accelerators import AcceleratorRegistry

    return _one_of(["auto", "gpu", *sorted(AcceleratorRegistry)], name)


def known_strategy(name: str) -> str:
    """The name of a strategy, as it came.

    Raises:
        ValueError: Lightning knows none of that name.
    """
    from pytorch_lightning.strategies import StrategyRegistry

    return _one_of(["auto", *sorted(StrategyRegistry)], name)


def _one_of(names: list[str], name: str) -> str:
    if name not in names:
        near = nearest(name, names)
        # Of a strategy, Lightning has one more for each way to set it.
        listed = ", ".join(one for one in names if "find_unused" not in one)
        raise ValueError(f"it should be one of {listed}{f'; did you mean {near}?' if near else ''}")
    return name


def present(name: str) -> str:
    """The same, of one that this machine has.

    Raises:
        ValueError: there is none of that name, or none here.
    """
    there = _there()
    if known(name) not in ("auto", *there) and not (name == "gpu" and {"cuda", "mps"} & set(there)):
        raise ValueError(f"this machine has none; it has {', '.join(there)}, and auto takes what there is")
    return name


@cache
def _there() -> list[str]:
    from pytorch_lightning.accelerators import AcceleratorRegistry

    return [name for name, entry in sorted(AcceleratorRegistry.items()) if entry["accelerator"].is_available()]
