"""The names of Lightning's classes: under which of its two packages they are looked up."""

# Lightning is published as two packages with equal classes of their own, and the Trainer here is of the second.
LIGHTNING, INSTALLED = "lightning.pytorch", "pytorch_lightning"


def installed_target(target: str) -> str:
    """Return a ``_target_`` with ``lightning.pytorch`` replaced by ``pytorch_lightning``; imports nothing."""
    inside = target == LIGHTNING or target.startswith(f"{LIGHTNING}.")
    return INSTALLED + target.removeprefix(LIGHTNING) if inside else target
