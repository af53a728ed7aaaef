"""Replace ``lightning.pytorch`` by ``pytorch_lightning`` in names of classes."""

# Lightning is published as two packages, each with its own copy of all classes. The Trainer used here is from the
# second, which does not work with classes from the first.
LIGHTNING, INSTALLED = "lightning.pytorch", "pytorch_lightning"


def installed_target(target: str) -> str:
    """Return a ``_target_`` with ``lightning.pytorch`` replaced by ``pytorch_lightning``, without importing it."""
    inside = target == LIGHTNING or target.startswith(f"{LIGHTNING}.")
    return INSTALLED + target.removeprefix(LIGHTNING) if inside else target
