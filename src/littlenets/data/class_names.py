"""Class names of a data module."""

from pytorch_lightning import LightningDataModule


def class_names(datamodule: LightningDataModule) -> list[str] | None:
    """Return a text for each class: its name in ``datamodule.names``, or its number if it has no name.

    Return None if the data has no classes or no names at all.
    """
    classes, names = getattr(datamodule, "classes", None), getattr(datamodule, "names", None)
    if classes is None or not names:
        return None
    texts = [" ".join(str(name).split()) for name in names[:classes]] + [""] * (classes - len(names))
    return [text or str(k) for k, text in enumerate(texts)]
