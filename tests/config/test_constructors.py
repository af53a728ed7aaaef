"""What a configuration node becomes when it is called."""

import inspect

import pytorch_lightning
from omegaconf import DictConfig, ListConfig, OmegaConf

from littlenets.config.constructors import instantiate
from littlenets.config.signatures import argument_names


class Kept:
    """Keeps what it is given."""

    def __init__(self, sizes: list[int], more: dict, share: float = 0.5, inner: "Kept | None" = None) -> None:
        self.sizes, self.more, self.share, self.inner = sizes, more, share, inner


NODE = {"_target_": f"{__name__}.Kept", "sizes": [1e1, 2], "more": {"a": [1.0]}, "share": 1.0}


def test_lists_and_dicts_are_plain_and_whole_numbers_are_ints():
    built = instantiate(OmegaConf.create({"n": 3.0, "node": {**NODE, "sizes": ["${n}", 2], "inner": NODE}}).node)
    for one in (built, built.inner):
        assert (type(one.sizes), type(one.more), type(one.more["a"])) == (list, dict, list)
        assert repr((one.more, one.share)) == "({'a': [1.0]}, 1.0)"
    assert repr((built.sizes, built.inner.sizes)) == "([3, 2], [10, 2])"


def test_who_asks_for_containers_of_omegaconf_gets_them():
    built = instantiate({**NODE, "_convert_": "none"})
    assert isinstance(built.sizes, ListConfig)
    assert isinstance(built.more, DictConfig)


def test_what_is_partial_is_settled_too():
    assert repr(instantiate({**NODE, "_partial_": True})().sizes) == "[10, 2]"


def test_the_arguments_of_the_other_package_of_lightning():
    parameters = inspect.signature(pytorch_lightning.Trainer).parameters
    assert argument_names("lightning.pytorch.Trainer") == list(parameters)
