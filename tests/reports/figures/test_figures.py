"""The figures of a comparison: those of any sweep, drawn from its two datasets."""

import numpy as np
import pytest

from jaxgd.reports.figures import cost_curves, learning_curves, maps, rate_map
from jaxgd.studies.comparison.cells import final_scores


def named(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def curves(comparison, optimizer, measure=None, clock="epochs"):
    fresh = comparison.fresh.assign_coords(
        seconds=comparison.clock.seconds_per_update * comparison.fresh.updates
    )
    metric = f"valid_{measure or comparison.score}"
    return learning_curves(fresh, metric, "batch_size", clock, optimizer=optimizer)


def map_of(comparison, optimizer):
    ridge = comparison.fresh.learning_rate.sel(optimizer=optimizer)
    return rate_map(comparison.grid, f"valid_{comparison.score}", ridge=ridge, optimizer=optimizer)


def test_curves_have_a_mean_and_a_line_per_seed_for_each_batch_size(comparison):
    figure = curves(comparison, "adam")
    names = [trace.name for trace in figure.data if trace.name]
    assert names == ["BGD (full batch)", "mini-batch 128", "mini-batch 32", "SGD (batch 1)"]
    assert len(figure.data) == 4 * (1 + comparison.fresh.sizes["seed"])


def test_the_mean_is_that_of_the_fresh_seeds(comparison):
    mean = named(curves(comparison, "adam", "loss"), "mini-batch 32")
    runs = comparison.fresh.valid_loss.sel(optimizer="adam", batch_size=32)
    np.testing.assert_allclose(10 ** np.array(mean.y, float), runs.mean("seed").values, rtol=1e-2)


def test_seconds_are_updates_times_the_clock(comparison):
    place = {"optimizer": "adam", "batch_size": 32}
    updates = named(curves(comparison, "adam", clock="updates"), "mini-batch 32").x
    seconds = named(curves(comparison, "adam", clock="seconds"), "mini-batch 32").x
    assert list(updates) == (34 * np.arange(1, 21)).tolist()
    per_update = float(comparison.clock.seconds_per_update.sel(place))
    np.testing.assert_allclose(seconds, np.array(updates) * per_update, rtol=1e-3)


def test_a_figure_knows_where_its_points_stand_on_every_clock(comparison):
    figure = curves(comparison, "momentum")
    clocks = figure.layout.meta["clocks"]
    assert list(clocks) == ["epochs", "updates", "examples", "seconds"]
    for name, clock in clocks.items():
        other = curves(comparison, "momentum", clock=name)
        assert [list(trace.x) for trace in other.data] == [list(clock["x"][place]) for place in clock["of"]]
        assert other.layout.xaxis.title.text == clock["xaxis"]["title"]["text"]


def test_optimizers_share_their_axes(comparison):
    ranges = {
        (figure.layout.yaxis.range, figure.layout.meta["clocks"]["updates"]["xaxis"]["range"][1])
        for figure in (curves(comparison, name) for name in ("sgd", "adam"))
    }
    assert len(ranges) == 1


def test_a_mean_ends_where_a_seed_diverges_and_the_seed_is_marked(comparison):
    figure = curves(comparison, "momentum", "loss")
    mean = named(figure, "mini-batch 32")
    assert [y is None for y in mean.y] == [False] * 3 + [True] * 17
    assert mean.text[-1] == "diverged"
    marked = [
        t for t in figure.data if t.legendgroup == "mini-batch 32" and "markers" in t.mode and not t.name
    ]
    assert [list(np.flatnonzero(seed.marker.size)) for seed in marked] == [[2]]


def test_long_curves_are_thinned(synthetic_comparison):
    long = synthetic_comparison(optimizers=("adam",), batch_sizes=(32,), epochs=500)
    mean = named(curves(long, "adam"), "mini-batch 32")
    assert len(mean.x) == 60
    assert (mean.x[0], mean.x[-1]) == (1, 500)


def test_a_map_has_a_colour_where_no_seed_diverged(comparison):
    figure = map_of(comparison, "adam")
    coloured = np.array([[z is not None for z in row] for row in figure.data[0].z])
    scores = final_scores(comparison.grid, comparison.score).sel(optimizer="adam").sortby("batch_size")
    survived = ~np.isnan(scores.transpose("batch_size", "rate", "seed").values).any(axis=-1)
    np.testing.assert_array_equal(coloured, survived)
    hatched = [x for x in named(figure, "a run diverged").x if x is None]
    assert len(hatched) == (~survived).sum() > 0


def test_the_ridge_is_the_rates_that_were_chosen(comparison):
    ridge = named(map_of(comparison, "adam"), "best learning_rate of each batch_size")
    best = comparison.fresh.learning_rate.sel(optimizer="adam").sortby("batch_size")
    np.testing.assert_allclose(10 ** np.array(ridge.x), best.values, rtol=1e-4)
    np.testing.assert_allclose(10 ** np.array(ridge.y), best.batch_size.values, rtol=1e-4)


def test_better_scores_have_brighter_colours(comparison):
    figure = map_of(comparison, "adam")
    scores = final_scores(comparison.grid, comparison.score).sel(optimizer="adam").sortby("batch_size")
    means = scores.mean("seed", skipna=False).transpose("batch_size", "rate").values.ravel()
    colours = np.array([z for row in figure.data[0].z for z in row], float)
    known = np.isfinite(means)
    order = np.corrcoef(means[known].argsort().argsort(), colours[known].argsort().argsort())[0, 1]
    # Rounding makes a few ties, which rank as they come.
    assert order > 0.99 if comparison.score == "accuracy" else order < -0.99


def test_maps_share_their_colours(comparison):
    ranges = {
        (figure.data[0].zmin, figure.data[0].zmax)
        for figure in (map_of(comparison, name) for name in ("sgd", "adam"))
    }
    assert len(ranges) == 1


@pytest.mark.parametrize("cost", ["examples_per_second", "bytes"])
def test_costs_show_every_optimizer_and_highlight_one(comparison, cost):
    figure = cost_curves(comparison.clock, cost, "adam")
    assert {trace.name for trace in figure.data} == set(comparison.clock.optimizer.values.tolist())
    widths = {trace.name: trace.line.width for trace in figure.data}
    assert [name for name, width in widths.items() if width > 1] == ["adam"]
    np.testing.assert_allclose(
        named(figure, "adam").y, comparison.clock[cost].sel(optimizer="adam").sortby("batch_size"), rtol=1e-3
    )


def test_a_map_names_the_rates_that_were_chosen(comparison):
    for optimizer in ("adam", "sgd"):
        figure = map_of(comparison, optimizer)
        rates = comparison.grid.learning_rate.sel(optimizer=optimizer).values
        best = comparison.fresh.learning_rate.sel(optimizer=optimizer).values
        chosen = figure.layout.meta["chosen"]
        assert chosen == sorted({int(np.flatnonzero(rates == rate)[0]) for rate in best})
        assert [figure.layout.xaxis.ticktext[place] for place in chosen] == [f"{rates[k]:g}" for k in chosen]


@pytest.mark.parametrize(
    ("count", "chosen", "shown"),
    [
        (6, [2], range(6)),
        # Every second one and the last, but none beside the last or the chosen.
        (16, [], [0, 2, 4, 6, 8, 10, 12, 15]),
        (16, [3], [0, 3, 6, 8, 10, 12, 15]),
        (16, [3, 4], [0, 3, 4, 6, 8, 10, 12, 15]),
        (16, [14], [0, 2, 4, 6, 8, 10, 12, 14]),
        (17, [], [0, 3, 6, 9, 12, 16]),
    ],
)
def test_labels_are_thinned_around_the_chosen(count, chosen, shown):
    texts = maps._thinned([str(k) for k in range(count)], chosen)
    assert [int(text) for text in texts if text] == list(shown)
    assert len(texts) == count
