"""What benchmarks/sweeps.py prints and writes; nothing is timed here."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "sweeps.py"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_sweeps", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAGE", tmp_path / "sweeps.md")
    module.PAGE.write_text(f"before\n{module.BEGIN}\nold\n{module.END}\nafter\n")
    monkeypatch.setattr(module, "measure", lambda rounds, *sizes: [f"| {rounds} |"])
    return module


@pytest.mark.parametrize(
    ("arguments", "rounds", "said"), [(["--quick"], 1, "One round; "), (["--rounds", "5"], 5, "Medians of 5 rounds; ")]
)
def test_it_says_how_often_it_has_measured(script: ModuleType, monkeypatch, capsys, arguments, rounds, said):
    monkeypatch.setattr("sys.argv", ["sweeps.py", *arguments])
    before = script.PAGE.read_text()
    script.main()
    out = capsys.readouterr().out
    assert out.startswith(f"| {rounds} |\n\n{said}")
    written = before if rounds == 1 else f"before\n{script.BEGIN}\n\n{out}\n{script.END}\nafter\n"
    assert script.PAGE.read_text() == written
