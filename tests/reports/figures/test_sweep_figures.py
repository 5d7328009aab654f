"""The figures of a sweep, on results whose best points are known."""

import json

import numpy as np
import pytest
import xarray as xr

import jaxgd
from jaxgd import figures
from jaxgd.reports.figures.scores import is_logarithmic
from jaxgd.sweeps.planning.plans import Plan

RATES, SIZES, SEEDS, EPOCHS = [0.01, 0.1, 1.0], ["full", 8], [0, 1], 4


@pytest.mark.parametrize(
    ("values", "is_so"),
    [
        ([16, 32, 64], True),
        ([0.001, 0.003, 0.01], True),
        ([1, 30], True),
        ([16, 32], False),
        ([1, 2, 3], False),
        ([0, 16, 32], False),
        ([1.0, 1.1, 1.21], False),
    ],
)
def test_values_by_their_logarithms(values, is_so):
    assert is_logarithmic(np.repeat(values, 2)) is is_so


def made(dataset, axes):
    return jaxgd.SweepResult(dataset, Plan((), EPOCHS, "1 x cpu", {}, 0), axes, [])


def grid():
    """Accuracy of optimizers, batch sizes, rates and seeds; sgd diverges at rate 1 and batch size 8."""
    best = {("sgd", 0): 1, ("sgd", 1): 0, ("adam", 0): 2, ("adam", 1): 1}
    accuracy = np.zeros((2, 2, 3, 2, EPOCHS))
    for o, optimizer in enumerate(("sgd", "adam")):
        for b in range(2):
            for r in range(3):
                top = 0.9 - 0.2 * abs(r - best[optimizer, b]) + 0.05 * o
                accuracy[o, b, r] = top * np.linspace(0.5, 1, EPOCHS) + np.array([[-0.01], [0.01]])
    axes = ("optimizer", "batch_size", "learning_rate", "seed")
    status = np.full(accuracy.shape[:-1], "completed", "<U13")
    status[0, 1, 2] = "diverged"
    accuracy[0, 1, 2, :, 1:] = np.nan
    steps = np.array([1, 5])[:, None, None, None]
    updates = np.broadcast_to(np.arange(1, EPOCHS + 1), accuracy.shape) * steps
    coords = {"optimizer": ["sgd", "adam"], "learning_rate": RATES, "seed": SEEDS}
    dataset = xr.Dataset(
        {
            "valid_accuracy": ((*axes, "epoch"), accuracy),
            "valid_loss": ((*axes, "epoch"), 1 - accuracy),
            "updates": ((*axes, "epoch"), updates),
            "status": (axes, status),
        },
        {**coords, "batch_size": [40, 8], "epoch": range(1, 5)},
    )
    return made(dataset, {name: {**coords, "batch_size": SIZES}[name] for name in axes})


def drawn():
    """Loss over points that were drawn, one of which diverged."""
    rates = np.logspace(-4, 0, 20)
    loss = np.abs(np.log10(rates) + 2)[:, None] + np.linspace(1, 0.1, EPOCHS)
    status = np.full(20, "completed", "<U13")
    status[-1] = "diverged"
    dataset = xr.Dataset(
        {
            "valid_loss": (("point", "epoch"), loss),
            "updates": (("point", "epoch"), np.broadcast_to(np.arange(1, 5), loss.shape)),
            "status": ("point", status),
        },
        {
            "point": range(20),
            "learning_rate": ("point", rates),
            "activation": ("point", ["relu", "tanh"] * 10),
            "epoch": range(1, 5),
        },
    )
    points = [
        {"learning_rate": rate, "activation": a} for rate, a in zip(rates, ["relu", "tanh"] * 10, strict=True)
    ]
    return made(dataset, {"point": points})


def named(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


FIGURES = {
    "slice": lambda: figures.slice(grid(), "learning_rate"),
    "slice by": lambda: figures.slice(grid(), "batch_size", "valid_loss", by="optimizer"),
    "slice of points": lambda: figures.slice(drawn(), "learning_rate", by="activation"),
    "map": lambda: figures.rate_map(grid(), optimizer="sgd"),
    "map of words": lambda: figures.rate_map(grid(), x="optimizer", y="seed", over=()),
    "curves": lambda: figures.learning_curves(grid()),
    "curves of updates": lambda: figures.learning_curves(grid(), by="optimizer", clock="updates"),
    "curves of points": lambda: figures.learning_curves(drawn()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_valid_json_without_nan(name):
    json.dumps(FIGURES[name]().to_plotly_json(), allow_nan=False, default=lambda x: x.tolist())


def test_a_slice_has_every_point_and_a_line_through_the_best():
    figure = figures.slice(grid(), "learning_rate", optimizer="adam")
    dots = named(figure)
    assert set(dots) == {"full", "8", "a run diverged"}
    assert not dots["a run diverged"].showlegend
    assert list(dots["8"].x) == RATES
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [list(line.y) for line in lines] == [list(dots["full"].y), list(dots["8"].y)]
    assert dots["8"].text[1] == "95.0 %<br>optimizer adam, batch_size 8, learning_rate 0.1"
    assert figure.layout.title.text == "valid_accuracy by learning_rate, mean over 2 runs"
    best = figures.slice(grid(), "learning_rate", by="optimizer")
    line = next(trace for trace in best.data if trace.mode == "lines" and trace.legendgroup == "sgd")
    dots = named(best)["sgd"]
    assert list(line.y) == [
        max(y for x, y in zip(dots.x, dots.y, strict=True) if x == rate) for rate in RATES
    ]


def test_a_slice_says_of_a_perfect_score_that_it_is():
    """However far it stands from the others: the axis ends at half of the least error that was seen."""
    result = grid()
    result.dataset.valid_accuracy.loc[{"optimizer": "adam", "learning_rate": 0.1}] = 1.0
    texts = [text for trace in figures.slice(result, "learning_rate").data for text in trace.text or ()]
    assert sum(text.startswith("100.0 %<br>optimizer adam") for text in texts) == 2


def test_a_slice_marks_what_diverged():
    crosses = named(figures.slice(grid(), "learning_rate"))["a run diverged"]
    assert list(crosses.x) == [1.0]
    assert crosses.text[0] == "a run diverged<br>optimizer sgd, batch_size 8, learning_rate 1"
    assert crosses.showlegend


def test_a_slice_of_drawn_points_has_no_line():
    figure = figures.slice(drawn(), "learning_rate")
    assert all(trace.mode == "markers" for trace in figure.data)
    assert figure.layout.xaxis.type == "log"
    assert len(named(figure)["valid_loss"].x) == 19
    assert figures.slice(drawn(), "activation").layout.xaxis.ticktext == ("relu", "tanh")


def test_few_values_are_named_beside_the_axis():
    axis = figures.slice(grid(), "batch_size", by="optimizer").layout.xaxis
    assert (list(axis.tickvals), list(axis.ticktext)) == ([40, 8], ["full", "8"])


def test_a_map_has_the_means_and_a_ridge():
    figure = figures.rate_map(grid(), optimizer="sgd")
    cells = figure.data[0]
    assert list(figure.layout.yaxis.ticktext) == ["8", "full"]
    assert (
        cells.text[1][1] == "batch_size full, learning_rate 0.1<br>90.0 %, mean of 2 runs<br>(89.0 %, 91.0 %)"
    )
    assert cells.text[0][2] == "batch_size 8, learning_rate 1<br>2 of 2 runs diverged"
    assert cells.z[0][2] is None
    ridge = named(figure)["best learning_rate of each batch_size"]
    assert list(ridge.x) == [-2, -1]
    assert figure.layout.title.text == "valid_accuracy, optimizer sgd"


def test_a_map_of_the_best_over_other_axes():
    figure = figures.rate_map(grid())
    assert (
        figure.data[0].text[0][2]
        == "batch_size 8, learning_rate 1<br>75.0 %, mean of 2 runs<br>(74.0 %, 76.0 %)"
    )
    assert figure.layout.title.text == "valid_accuracy, best over optimizer"
    loss = figures.rate_map(grid(), "valid_loss")
    assert (
        loss.data[0].text[1][2] == "batch_size full, learning_rate 1<br>0.05, mean of 2 runs<br>(0.06, 0.04)"
    )


def test_curves_are_those_of_the_best_points():
    figure = figures.learning_curves(grid())
    means = named(figure)
    assert set(means) == {"BGD (full batch)", "mini-batch 8"}
    assert means["mini-batch 8"].meta == "optimizer adam, batch_size 8, learning_rate 0.1"
    assert means["mini-batch 8"].text[-1] == "95.0 %"
    faint = [trace for trace in figure.data if trace.name is None]
    assert len(faint) == 4
    updates = figures.learning_curves(grid(), by="optimizer", clock="updates", batch_size=8)
    assert list(named(updates)["optimizer adam"].x) == [5, 10, 15, 20]


def test_a_curve_ends_where_its_runs_stop():
    result = grid()
    dataset = result.dataset.copy(deep=True)
    stopped = {"optimizer": 1, "batch_size": 1, "learning_rate": 1}
    dataset.status[stopped] = "stopped early"
    dataset.updates[{**stopped, "epoch": [2, 3]}] = dataset.updates[{**stopped, "epoch": 1}]
    dataset.valid_accuracy[{**stopped, "epoch": [2, 3]}] = np.nan
    dataset.valid_accuracy[{**stopped, "epoch": 1}] = 0.99
    figure = figures.learning_curves(made(dataset, result.axes))
    assert list(named(figure)["mini-batch 8"].x) == [1, 2]
    assert all(len(t.x) == 2 for t in figure.data if t.name is None and t.legendgroup == "mini-batch 8")


def test_of_many_values_the_best_are_shown():
    figure = figures.learning_curves(drawn())
    places = [int(name.split()[1]) for name in named(figure)]
    assert len(places) == 8
    assert places == sorted(places)
    assert set(places) == set(np.argsort(np.abs(np.log10(np.logspace(-4, 0, 20)) + 2), kind="stable")[:8])


def test_everything_diverged():
    result = grid()
    dataset = result.dataset.assign(status=xr.full_like(result.dataset.status, "diverged"))
    result = made(dataset, result.axes)
    assert not named(figures.learning_curves(result))
    assert figures.rate_map(result).data[0].z[0][0] is None
    assert len(named(figures.slice(result, "learning_rate"))["a run diverged"].x) == 12


def test_a_map_needs_a_grid():
    with pytest.raises(ValueError, match="x is 'learning_rate', which was drawn and has no grid: use"):
        figures.rate_map(drawn())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: figures.slice(r, "learning_rat"), "unknown axis 'learning_rat'; did you mean"),
        (lambda r: figures.slice(r, "seed"), "unknown axis 'seed'"),
        (lambda r: figures.slice(r, "learning_rate", "valid_acc"), "unknown metric 'valid_acc'; did you"),
        (lambda r: figures.slice(r, "learning_rate", by="optimiser"), "unknown by 'optimiser'; did you mean"),
        (lambda r: figures.slice(r, "learning_rate", optimiser="sgd"), "unknown axis 'optimiser'; did"),
        (lambda r: figures.slice(r, "learning_rate", optimizer="sdg"), "axis 'optimizer' has no value 'sdg'"),
        (lambda r: figures.rate_map(r, x="rate"), "unknown x 'rate'"),
        (lambda r: figures.rate_map(r, y="learning_rate"), "x and y are both 'learning_rate'"),
        (lambda r: figures.learning_curves(r, clock="seconds"), "unknown clock 'seconds'"),
        (lambda r: figures.learning_curves(r, by="seed"), "unknown by 'seed'"),
        (lambda r: figures.learning_curves(r, over="sed"), "unknown axis 'sed'; did you mean 'seed'"),
    ],
)  # fmt: skip
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(grid())
