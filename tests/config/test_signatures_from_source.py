"""Argument names read from source, against what Python says of the imported object."""

import inspect
import subprocess
import sys
from pathlib import Path

import composing
import pytest
from hydra.utils import get_object

from littlenets.config.signatures import argument_names


def shipped_targets() -> list[str]:
    files = composing.CONF.glob("*/*.yaml")
    lines = (line for file in files for line in file.read_text().splitlines())
    return sorted({line.split("_target_:")[1].strip() for line in lines if "_target_:" in line})


@pytest.mark.parametrize("target", shipped_targets())
def test_they_are_those_of_the_constructor(target: str):
    found = get_object(target)
    if found.__init__ is object.__init__:
        return
    parameters = inspect.signature(found).parameters.values()
    named = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    assert (argument_names(target) or []) == named


def test_they_are_read_without_importing():
    code = (
        "import sys; from littlenets.config.signatures import argument_names as names;"
        "assert 'max_steps' in names('pytorch_lightning.Trainer'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


@pytest.mark.parametrize("target", ["no.such.module", "littlenets.networks.Nothing", "Nothing", "", "math.sqrt"])
def test_what_has_no_source_has_no_names(target: str):
    assert argument_names(target) is None


def test_a_file_of_a_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "nets_from_source.py").write_text(
        "class Base:\n    def __init__(self, width, *, depth=2): ...\nclass Net(Base): ...\ndef make(size): ...\n"
    )
    (tmp_path / "broken_source.py").write_text("class Net(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert argument_names("nets_from_source.Net") == ["width", "depth"]
    assert argument_names("nets_from_source.make") == ["size"]
    assert argument_names("broken_source.Net") is None
