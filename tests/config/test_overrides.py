"""What is typed on the command line, against Hydra's own parser and the shell's own rule for the home folder."""

from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from littlenets.config.overrides import expand_home, typed

VALUES = [
    *(None, True, False, 0, -3, 1.0, 0.1, 1e-05, 1e20, float("inf")),
    *(
        "",
        "a",
        "relu",
        "1",
        "-1",
        "1e5",
        "0x1",
        "10_000",
        "true",
        "null",
        "nan",
        "inf",
        "a.b/c-d_e",
        "*",
        "?",
        "choice",
    ),
    *("a b", " a", "a ", "a,b", "[x]", "{a:b}", "x=y", "a:b", "1:2", "#a", "$x", "(x)", "~/x", "häh", "a\tb", "a\nb"),
    *("a'b", 'a"b', "'", '"', "a\\", 'a\\"b', "a\\\\"),
    *([], [1, "2", [None, "a b"]], {}, {"_target_": "a.b", "x": [1, {"y": "1"}]}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_hydra_reads_the_same_value_again(value: Any):
    read = OverridesParser.create().parse_override(f"key={typed(value)}").value()
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("resume=~/x", "/home/me/x"),
        ("output=~", "/home/me"),
        ("image='~/a b'", "/home/me/a b"),
        ('data.root="~/a"', "/home/me/a"),
        ("hydra.searchpath=[~/c,file://~/d,e]", ["/home/me/c", "file:///home/me/d", "e"]),
        ("run=a~/x/~", None),
        ("run=~no.such.user/x", None),
        ("~threads", None),
        ("-m", None),
        ("x=[1,2]", None),
    ],
)
def test_a_tilde_is_the_home_folder_where_a_value_begins(monkeypatch, argument: str, expected: Any):
    monkeypatch.setenv("HOME", "/home/me")
    if expected is None:
        assert expand_home(argument) == argument
    else:
        read = OverridesParser.create().parse_override(expand_home(argument)).value()
        assert read == expected


def test_a_home_folder_with_a_space_is_quoted(monkeypatch):
    monkeypatch.setenv("HOME", "/home/m e=1")
    assert OverridesParser.create().parse_override(expand_home("resume=~/x")).value() == "/home/m e=1/x"
    # The parser of options takes no quotes away.
    assert expand_home("--config-dir=~/x") == "--config-dir=/home/m e=1/x"


def test_paths_that_come_from_files_are_expanded_where_they_are_used(monkeypatch, tmp_path: Path):
    from littlenets.runs.files import user_path

    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x") == tmp_path / "x"
    assert user_path("x/~") == Path("x/~")
