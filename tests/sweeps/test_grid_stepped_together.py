"""sweep.zip: values that are stepped through together."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from littlenets.errors import SettingError
from littlenets.sweeps.grid import expand


def points(arguments, zipped):
    return expand(OverridesParser.create().parse_overrides(arguments), zipped)


def test_zipped_values_are_paired_and_crossed_with_the_others():
    found = points(["a=1,2", "b=x,y", "c=7", "d=3,4"], ["a", "d"])
    assert found == [
        ["a=1", "d=3", "b=x", "c=7"],
        ["a=1", "d=3", "b=y", "c=7"],
        ["a=2", "d=4", "b=x", "c=7"],
        ["a=2", "d=4", "b=y", "c=7"],
    ]


def test_an_added_setting_is_named_without_its_plus():
    assert points(["a=1,2", "+b=3,4"], ["b", "a"]) == [["+b=3", "a=1"], ["+b=4", "a=2"]]


def test_other_numbers_of_values_are_a_mistake():
    with pytest.raises(SettingError, match=r"a has 2, b has 3"):
        points(["a=1,2", "b=1,2,3"], ["a", "b"])


def test_what_is_not_swept_cannot_be_zipped():
    with pytest.raises(SettingError, match=r"c is not swept.*a, b"):
        points(["a=1,2", "b=1,2"], ["a", "c"])
