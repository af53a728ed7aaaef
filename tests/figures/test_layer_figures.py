"""Networks seen through hooks: their diagrams, and how much of them is saturated."""

import torch
from matplotlib.text import Annotation
from torch import Tensor, nn

from littlenets.figures import activations, tracing
from littlenets.figures.diagram import diagram
from littlenets.figures.saturation import saturated_shares


class Branching(nn.Module):
    """Two ways that meet again, one layer used twice, and a parameter that no layer has."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(3, 4)
        self.right = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(inplace=True))
        self.twice = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(5))
        self.normed = nn.BatchNorm1d(4)
        self.never = nn.Linear(9, 9)

    def forward(self, x: Tensor) -> Tensor:
        both = self.left(x) + self.right(x)
        return self.normed(self.twice(self.twice(both))) * self.scale[0]


class Sequences(nn.Module):
    """Layers of torch's own that hold others, or give more than a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(3, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.recurrent(x)
        return self.attention(x, x, x)[0].mean(dim=1)


def test_layers_are_seen_in_the_order_of_calls():
    layers = tracing.trace(Branching(), torch.randn(2, 3))
    assert [layer.name for layer in layers] == ["left", "right.0", "right.1", "twice", "twice", "normed"]
    assert [layer.parameters for layer in layers] == [16, 12, 0, 20, 0, 8]
    assert [layer.again for layer in layers] == [False, False, False, False, True, False]
    # The right way starts anew, and what the two ways gave is added by no layer.
    assert [layer.follows for layer in layers] == [True, False, True, False, True, True]
    assert all(layer.output.shape == (2, 4) for layer in layers)


def test_an_output_is_kept_before_the_next_layer_changes_it():
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
    x = torch.randn(50, 2)
    linear, relu = tracing.trace(network, x)
    torch.testing.assert_close(linear.output, x @ network[0].weight.T + network[0].bias)
    assert (linear.output < 0).any()
    torch.testing.assert_close(relu.output, linear.output.clamp(min=0))


def test_looking_leaves_no_trace():
    network = Branching().train()
    network.right.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    tracing.trace(network, torch.randn(2, 3, generator=torch.Generator()))
    tracing.outputs(network, torch.zeros(2, 3))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert (network.training, network.twice.training, network.right.training) == (True, True, False)
    assert not any(module._forward_hooks for module in network.modules())
    assert not any(parameter.grad is not None for parameter in network.parameters())


class Functional(nn.Module):
    """Activations as functions, of all spellings."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 6), *(nn.Linear(6, 6) for _ in range(5)), nn.Linear(6, 1)])

    def forward(self, x: Tensor) -> Tensor:
        first, second, third, fourth, fifth, sixth, last = self.layers
        x = torch.tanh(first(x))
        x = nn.functional.relu(second(x))
        x = third(x).sigmoid()
        x = fourth(x).relu_()
        x = nn.functional.relu(fifth(x), inplace=True)
        x = nn.functional.gelu(sixth(x))
        return torch.sigmoid(last(x)).squeeze(1)


def test_activations_may_be_functions():
    """What is seen is what the same network gives where they are modules."""
    network = Functional()
    linear = list(network.layers)
    kinds = [nn.Tanh(), nn.ReLU(), nn.Sigmoid(), nn.ReLU(), nn.ReLU(), nn.GELU(), nn.Sigmoid()]
    of_modules = nn.Sequential(*(layer for pair in zip(linear, kinds, strict=True) for layer in pair))
    x = torch.randn(50, 2)
    seen, expected = tracing.trace(network, x), tracing.trace(of_modules, x)
    expected = [layer for layer in expected if not isinstance(layer.module, nn.GELU)]
    assert [type(layer.module) for layer in seen] == [type(layer.module) for layer in expected]
    for layer, other in zip(seen, expected, strict=True):
        torch.testing.assert_close(layer.output, other.output)
        assert layer.parameters == other.parameters
    # GELU stands between the last two linear layers.
    assert [layer.follows for layer in seen] == [True] * 11 + [False, True]
    assert saturated_shares(seen) == saturated_shares(expected)
    assert list(saturated_shares(seen)) == [
        *("layer 1 (Tanh)", "layer 2 (ReLU)", "layer 3 (Sigmoid)", "layer 4 (ReLU)", "layer 5 (ReLU)")
    ]


def test_what_layers_do_inside_is_their_own():
    """A recurrent cell has gates, and this module of somebody's own no modules in it."""

    class Squashing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x)

    network = nn.Sequential(nn.ReLU(), nn.GRUCell(3, 4), Squashing(), nn.Linear(4, 1))
    kinds = [type(layer.module).__name__ for layer in tracing.trace(network, torch.randn(2, 3))]
    assert kinds == ["ReLU", "GRUCell", "Squashing", "Linear"]


def test_layers_that_hold_others_are_one_layer():
    network = Sequences()
    layers = tracing.trace(network, torch.randn(2, 7, 3))
    assert [type(layer.module).__name__ for layer in layers] == ["LSTM", "MultiheadAttention"]
    assert [tuple(layer.output.shape[1:]) for layer in layers] == [(7, 8), (7, 8)]
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in network.parameters())


def test_a_block_starts_with_weights():
    network = nn.Sequential(
        *(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ReLU(), nn.BatchNorm2d(2), nn.Flatten()),
        *(nn.Linear(18, 5), nn.Tanh(), nn.Linear(5, 2)),
    )
    blocks = tracing.blocks(tracing.trace(network, torch.randn(1, 1, 8, 8)))
    assert [[layer.name for layer in block] for block in blocks] == [["0", "1", "2", "3", "4"], ["5", "6"], ["7"]]


def texts(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts if text.get_text()]


def draw(network: nn.Module, x: Tensor) -> list[str]:
    total = sum(parameter.numel() for parameter in network.parameters())
    figure = diagram(type(network).__name__, x.shape[1:], tracing.trace(network, x), total)
    figure.canvas.draw()
    return texts(figure)


def test_a_diagram_names_layers_shapes_and_parameters():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 10))
    assert draw(network, torch.zeros(1, 1, 8, 8)) == [
        "Sequential: 410 parameters",
        "input: 1 × 8 × 8",
        *("Conv2d 1 → 4, 3 × 3", "40 parameters", "4 × 6 × 6"),
        *("MaxPool2d 2 × 2", "4 × 3 × 3"),
        *("ReLU", "4 × 3 × 3"),
        *("Flatten", "36 numbers"),
        *("Linear 36 → 10", "370 parameters", "output: 10 numbers"),
    ]


def test_a_diagram_of_branches_says_what_it_does_not_show():
    shown = draw(Branching(), torch.zeros(1, 3))
    assert shown[0] == "Branching: 151 parameters"
    # The scale and the layer that is never called.
    assert shown[1] == "95 of them outside of the layers below"
    assert shown.count("used again") == 1


def test_an_arrow_leads_where_the_numbers_go():
    def arrows(network: nn.Module, x: Tensor) -> int:
        figure = diagram("network", x.shape[1:], tracing.trace(network, x), 0)
        return sum(text.arrow_patch is not None for text in figure.axes[0].texts if isinstance(text, Annotation))

    assert arrows(nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)), torch.zeros(1, 3)) == 3
    assert arrows(Branching(), torch.zeros(1, 3)) == 4


def test_a_diagram_of_very_many_layers_leaves_out_the_middle():
    shown = draw(nn.Sequential(*(nn.Linear(2, 2) for _ in range(100))), torch.zeros(1, 2))
    assert "… 60 more layers …" in shown
    assert shown.count("Linear 2 → 2") == 40
    assert shown[0] == "Sequential: 600 parameters"


def test_a_network_may_be_one_layer():
    assert "Linear 2 → 1" in draw(nn.Linear(2, 1), torch.zeros(1, 2))


def test_saturated_is_where_the_gradient_is_next_to_nothing():
    """By autograd: below a twentieth of the activation's largest gradient, over samples and units."""
    network = nn.Sequential(
        *(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Sigmoid()), nn.Linear(4, 1)
    )
    for parameter in network.parameters():
        parameter.data *= 8
    x = torch.randn(30, 2)
    shares = saturated_shares(tracing.trace(network, x))
    assert list(shares) == ["layer 1 (Tanh)", "layer 2 (ReLU)", "layer 3 (Sigmoid)"]
    for share, position, largest in zip(shares.values(), (1, 3, 5), (1, 1, 0.25), strict=True):
        entering = network[:position](x).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(network[position](entering).sum(), entering)
        saturated = (gradient < 0.05 * largest).sum().item()
        assert 0 < saturated < gradient.numel()
        assert share == saturated / gradient.numel() or abs(share - saturated / gradient.numel()) < 1e-6


def test_the_answer_is_not_hidden():
    assert saturated_shares(tracing.trace(nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()), torch.randn(3, 2))) == {}


def test_gradients_are_those_of_autograd():
    figure = activations.functions()
    for ax, function in zip(figure.axes, (torch.relu, torch.tanh, torch.sigmoid), strict=True):
        shown = {line.get_label(): line for line in ax.lines}
        x = torch.tensor(shown["function"].get_xdata(), requires_grad=True)
        y = function(x)
        y.sum().backward()
        torch.testing.assert_close(torch.tensor(shown["function"].get_ydata()), y.detach())
        torch.testing.assert_close(torch.tensor(shown["gradient"].get_ydata()), x.grad)
        assert ax.get_xlabel()


def test_saturation_shows_the_shares_given():
    figure = activations.saturation([0, 1, 50], {"layer 1 (Tanh)": [0.1, 0.2, 0.3], "layer 2 (Tanh)": [0, 0, 1]})
    (ax,) = figure.axes
    assert [line.get_label() for line in ax.lines] == ["layer 1 (Tanh)", "layer 2 (Tanh)"]
    assert [list(line.get_xdata()) for line in ax.lines] == [[0, 1, 50]] * 2
    torch.testing.assert_close(torch.tensor(ax.lines[0].get_ydata()), torch.tensor([10.0, 20, 30], dtype=torch.float64))
    assert list(ax.lines[1].get_ydata()) == [0, 0, 100]
    assert "%" in ax.get_ylabel()
    assert "epoch" in ax.get_xlabel()
