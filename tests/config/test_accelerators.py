"""Which devices may be asked for, on machines that Lightning is made to see."""

from collections.abc import Callable, Iterator

import pytest
from pytorch_lightning.accelerators import CUDAAccelerator, MPSAccelerator

from littlenets.config import accelerators


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """``machine(cuda=..., mps=...)``; a CPU is always there."""

    def make(cuda: bool = False, mps: bool = False) -> None:
        monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: cuda))
        monkeypatch.setattr(MPSAccelerator, "is_available", staticmethod(lambda: mps))
        accelerators._there.cache_clear()

    yield make
    accelerators._there.cache_clear()


@pytest.mark.parametrize(
    ("has", "names"),
    [({}, []), ({"cuda": True}, ["gpu", "cuda"]), ({"mps": True}, ["gpu", "mps"])],
    ids=["neither", "cuda", "mps"],
)
def test_what_the_machine_has_may_be_asked_for(machine, has: dict[str, bool], names: list[str]):
    machine(**has)
    for name in ("auto", "cpu", *names):
        assert accelerators.present(name) == name
    for name in {"gpu", "cuda", "mps"} - {*names}:
        assert accelerators.known(name) == name
        with pytest.raises(ValueError, match=r"this machine has none; it has .*cpu"):
            accelerators.present(name)


@pytest.mark.parametrize("take", [accelerators.known, accelerators.present])
@pytest.mark.parametrize(("name", "near"), [("GPU", "gpu"), ("cdua", "cuda")])
def test_what_nobody_has_is_named_with_what_was_meant(take: Callable[[str], str], name: str, near: str):
    with pytest.raises(ValueError, match=rf"one of auto, gpu, cpu, cuda, mps.*did you mean {near}\?"):
        take(name)
