"""Convolutions with pooling after them against the layers one by one, and where the loops are used."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from littlenets.speed import convolution_loops, convolutions
from littlenets.speed.layers import accelerated

STACK = ExitStack()
BLOCKS: dict[str, Callable[[], list[nn.Module]]] = {
    "as in cnn": lambda: [
        *(nn.Conv2d(1, 5, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(inplace=True)),
        *(nn.Conv2d(5, 4, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(inplace=True)),
    ],
    "not ReLU": lambda: [
        *(nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d(2), nn.Tanh()),
        *(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Sigmoid()),
    ],
    "not ReLU, in place": lambda: [
        *(nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d(2), nn.LeakyReLU(inplace=True)),
        *(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.ELU(inplace=True)),
    ],
    "activations before the pooling": lambda: [
        *(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2)),
    ],
    "another activation before the pooling": lambda: [
        *(nn.Conv2d(1, 3, 3, padding=1), nn.Sigmoid(), nn.MaxPool2d(2)),
        *(nn.Conv2d(3, 4, 3, padding=1), nn.LeakyReLU(-2), nn.MaxPool2d(2)),
    ],
    "nothing after": lambda: [nn.Conv2d(1, 3, 3), nn.MaxPool2d((2, 2)), nn.Conv2d(3, 2, 3), nn.MaxPool2d(2)],
    "other layers between": lambda: [
        *(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(3)),
        *(nn.Conv2d(3, 2, 2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2)),
    ],
    "filters that are not square": lambda: [
        *(nn.Conv2d(1, 3, (4, 2), padding=(0, 2)), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(3, 4, (1, 5), padding=(1, 0)), nn.MaxPool2d((2, 1)), nn.ReLU()),
    ],
    "windows that overlap": lambda: [
        *(nn.Conv2d(1, 3, 3, padding=2), nn.MaxPool2d(3, 1, 1, ceil_mode=True), nn.ReLU()),
        *(nn.Conv2d(3, 4, 3), nn.MaxPool2d((3, 2), (1, 2), dilation=(1, 2)), nn.ReLU()),
    ],
    "no bias": lambda: [
        *(nn.Conv2d(1, 3, 3, bias=False), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(3, 4, 3, bias=False), nn.MaxPool2d(2), nn.ReLU()),
    ],
    "many numbers a filter at once": lambda: [
        *(nn.Conv2d(1, 3, 7, padding=3), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(3, 2, 5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
    ],
    "not for the loops": lambda: [
        *(nn.Conv2d(1, 4, 3, padding="same"), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3, padding=1, stride=(1, 2)), nn.MaxPool2d(1)),
        *(nn.Conv2d(4, 4, 2, padding=1, dilation=2, groups=2), nn.MaxPool2d(1)),
    ],
}


@pytest.fixture(autouse=True)
def at_end() -> Iterator[None]:
    with STACK:
        yield


def fast(*layers: nn.Module) -> nn.Sequential:
    """Accelerated to the end of the test."""
    network = nn.Sequential(*layers)
    STACK.enter_context(accelerated(network))
    return network


def network(blocks: str, memory: torch.memory_format = torch.channels_last) -> nn.Sequential:
    torch.manual_seed(0)
    return fast(*BLOCKS[blocks]()).to(memory_format=memory)


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 1, 17, 18, generator=torch.Generator().manual_seed(1))


def output_and_gradients(layers: nn.Module, x: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    """The gradients are those of a sum in which every output has a factor of its own."""
    y = layers(x)
    factors = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).to(y.dtype)
    return [y.detach(), *torch.autograd.grad((y * factors).sum(), wanted)]


@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("of_images", [False, True])
@pytest.mark.parametrize("blocks", BLOCKS)
def test_output_and_gradients_are_those_of_the_layers(blocks: str, of_images: bool, memory: torch.memory_format):
    ours, x = network(blocks, memory), images().requires_grad_(of_images)
    found = output_and_gradients(ours, x, [*ours.parameters()] + [x] * of_images)

    layers = nn.Sequential(*network(blocks)).double()
    exact_x = images().double().requires_grad_(of_images)
    expected = output_and_gradients(layers, exact_x, [*layers.parameters()] + [exact_x] * of_images)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


def test_several_channels_in_the_first_convolution():
    def layers() -> list[nn.Module]:
        torch.manual_seed(0)
        return [nn.Conv2d(2, 3, 2, padding=1), nn.MaxPool2d(2), nn.ReLU()]

    x = torch.randn(3, 2, 9, 8, generator=torch.Generator().manual_seed(1))
    ours, theirs = fast(*layers()), nn.Sequential(*layers()).double()
    found = output_and_gradients(ours, x, [*ours.parameters()])
    expected = output_and_gradients(theirs, x.double(), [*theirs.parameters()])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


def test_gradients_lie_in_memory_as_the_weights_do():
    ours = network("as in cnn")
    _, *gradients = output_and_gradients(ours, images(), [*ours.parameters()])
    for weight, gradient in zip(ours.parameters(), gradients, strict=True):
        assert weight.stride() == gradient.stride()


@pytest.mark.parametrize("of_images", [False, True])
def test_the_first_of_equal_numbers_wins(of_images: bool):
    ours = network("as in cnn")
    x = torch.ones(2, 1, 17, 18).requires_grad_(of_images)
    layers = nn.Sequential(*network("as in cnn")).double()
    expected = output_and_gradients(layers, x.detach().double(), [*layers.parameters()])
    for one, other in zip(output_and_gradients(ours, x, [*ours.parameters()]), expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(2, 3, 17, 18),
        torch.zeros(2, 1, 1, 18),
        torch.zeros(2, 1, 0, 18),
        torch.zeros(2, 1, 17, 18, dtype=torch.float64),
    ],
    ids=lambda wrong: f"{tuple(wrong.shape)} {wrong.dtype}",
)
@pytest.mark.parametrize("of_images", [False, True])
def test_wrong_images_are_refused_in_the_words_of_the_layers(wrong: Tensor, of_images: bool):
    with pytest.raises(RuntimeError) as expected:
        nn.Sequential(*network("as in cnn"))(wrong)
    with pytest.raises(RuntimeError) as found:
        network("as in cnn")(wrong.clone().requires_grad_(of_images))
    assert str(found.value) == str(expected.value)


def test_one_image_alone():
    ours, x = network("as in cnn"), images()[0]
    torch.testing.assert_close(ours(x), ours(x[None])[0])


@pytest.mark.parametrize("where", ["weight", "image"])
@pytest.mark.parametrize("of_images", [False, True])
def test_what_is_no_number_comes_out_as_none(where: str, of_images: bool):
    ours, x = network("as in cnn"), images(1)
    if where == "weight":
        ours[0].weight.data[0] = torch.nan
    else:
        x[0, 0, 9, 9] = torch.nan
    x.requires_grad_(of_images)
    layers = nn.Sequential(*network("as in cnn"))
    layers.load_state_dict(ours.state_dict())
    expected = layers(x)
    assert expected.isnan().any()
    assert torch.equal(ours(x).isnan(), expected.isnan())


@pytest.mark.parametrize("frozen", [0, 2])
def test_frozen_weights_leave_the_others_theirs(frozen: int):
    ours, layers = network("as in cnn"), nn.Sequential(*network("as in cnn")).double()
    for one in (ours, layers):
        list(one.parameters())[frozen].requires_grad_(False)
    found, expected = (
        output_and_gradients(one, x, [p for p in one.parameters() if p.requires_grad])
        for one, x in ((ours, images()), (layers, images().double()))
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


def test_a_gradient_of_a_gradient():
    def second(layers: nn.Module, x: Tensor) -> list[Tensor]:
        weights = list(layers.parameters())
        gradients = torch.autograd.grad(layers(x).square().sum(), weights, create_graph=True)
        return list(torch.autograd.grad(sum(gradient.square().sum() for gradient in gradients), weights))

    for of_images in (False, True):
        expected = second(nn.Sequential(*network("as in cnn")).double(), images().double())
        found = second(network("as in cnn"), images().requires_grad_(of_images))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-4)


class Refused(Exception):
    pass


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants the loops is told so."""

    def refuse() -> None:
        raise Refused

    monkeypatch.setattr(convolutions, "_kernels", refuse)


def backward(layers: nn.Module, x: Tensor) -> None:
    layers(x).sum().backward()


@pytest.mark.usefixtures("refusing")
@pytest.mark.parametrize("blocks", [name for name in BLOCKS if name != "not for the loops"])
@pytest.mark.parametrize("of_images", [False, True])
def test_training_takes_the_loops(blocks: str, of_images: bool):
    with pytest.raises(Refused):
        backward(network(blocks), images().requires_grad_(of_images))


@contextmanager
def watched(ours: nn.Module) -> Iterator[None]:
    handles = [layer.register_forward_hook(lambda *_: None) for layer in ours]
    yield
    for handle in handles:
        handle.remove()


ELSEWHERE: dict[str, Callable[[nn.Sequential], object]] = {
    "float64": lambda ours: backward(ours.double(), images().double()),
    "no gradients wanted": lambda ours: torch.no_grad()(ours)(images()),
    "traced": lambda ours: torch.jit.trace(ours, images()),
    "exported": lambda ours: torch.export.export(ours, (images(),)),
    "compiled": lambda ours: backward(torch.compile(ours, backend="eager"), images()),
    "functional": lambda ours: torch.func.grad(lambda x: ours(x).sum())(images()),
    "without numbers": lambda ours: backward(ours.to("meta"), images().to("meta")),
}


@pytest.mark.usefixtures("refusing")
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*is deprecated:FutureWarning")
@pytest.mark.parametrize("where", ELSEWHERE)
def test_elsewhere_the_layers_are_called(where: str):
    ELSEWHERE[where](network("as in cnn"))


@pytest.mark.usefixtures("refusing")
@pytest.mark.parametrize("around", [watched, lambda ours: torch.autocast("cpu", torch.bfloat16)])
def test_the_layers_are_called_where_somebody_listens_or_precision_is_reduced(around: Callable):
    ours = network("as in cnn")
    with around(ours):
        backward(ours, images())
    with pytest.raises(Refused):
        backward(ours, images())


@pytest.mark.usefixtures("refusing")
@pytest.mark.parametrize("filters", [nn.Conv2d(1, 3, 4), nn.Conv2d(9, 3, 3)])
def test_the_layers_are_called_where_they_are_quicker(filters: nn.Conv2d):
    """Many numbers a filter, and no gradient of the images."""
    backward(fast(filters, nn.MaxPool2d(2), nn.ReLU()), torch.randn(2, filters.in_channels, 9, 9))


@pytest.mark.usefixtures("refusing")
def test_layers_that_the_loops_are_not_made_for_are_called():
    backward(network("not for the loops"), images())


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_of_cnn_takes_the_loops_at_every_step(launch, monkeypatch: pytest.MonkeyPatch, threads: int):
    calls = []

    def noting(name: str, loop: Callable[..., None], *arguments: object) -> None:
        calls.append(name)
        loop(*arguments)

    for name in ("few_forward", "few_backward", "many_backward"):
        monkeypatch.setattr(convolution_loops, name, partial(noting, name, getattr(convolution_loops, name)))
    overrides = ["model=cnn", "data=digits", "model.network.channels=[2,3]", "model.network.hidden=[8]"]
    run = launch(*overrides, "data.batch_size=300", "trainer.max_epochs=1", f"threads={threads}")
    for name in ("few_forward", "few_backward", "many_backward"):
        assert calls.count(name) == threads * run.results["steps"]


def test_compiled_without_a_folder_to_keep_it_in(monkeypatch: pytest.MonkeyPatch):
    njit = convolution_loops.njit

    def homeless(*arguments: object, cache: bool = False, **options: object) -> Callable:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*arguments, **options)

    monkeypatch.setattr(convolution_loops, "njit", homeless)
    increment = convolution_loops._compiled(convolution_loops._VECTOR)(_increment)
    numbers = torch.zeros(3)
    increment(numbers.numpy())
    assert numbers.tolist() == [1, 1, 1]


def _increment(numbers):
    for index in range(len(numbers)):
        numbers[index] += 1
