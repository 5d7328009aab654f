"""From axes to groups of lanes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.axes import Point, checked_axes, label, points
from jaxgd.sweeps.groups import group_runs
from jaxgd.sweeps.runs import make_runs

INPUTS = np.arange(12, dtype=np.float32).reshape(6, 2)
TARGETS = np.arange(6, dtype=np.float32)


def make_problem():
    return jaxgd.regression(jaxgd.linear(2), (INPUTS, TARGETS), (INPUTS, TARGETS))


def test_a_point():
    point = Point({"learning_rate": 0.1, "seed": 3})
    assert point.learning_rate == point["learning_rate"] == 0.1
    assert dict(point) == {"learning_rate": 0.1, "seed": 3}
    assert repr(point) == "(learning_rate=0.1, seed=3)"
    with pytest.raises(AttributeError, match="unknown axis 'learning_rat'; did you mean 'learning_rate'"):
        _ = point.learning_rat
    with pytest.raises(KeyError, match="unknown axis 'sed'; did you mean 'seed'"):
        _ = point["sed"]


def test_the_last_axis_varies_fastest():
    grid = points({"a": [1, 2], "b": ["x", "y"]})
    assert [tuple(point.values()) for point in grid] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_labels():
    assert [label(x) for x in (1, 0.5, "full", np.float32(0.5), True)] == [1, 0.5, "full", 0.5, True]
    assert label(jaxgd.adam) == "adam"
    assert label(None) is None


def test_axes_may_be_arrays():
    axes = checked_axes({"a": np.array([1, 2]), "b": jnp.array([0.5, 2.0]), "seed": range(2)})
    assert {name: [label(value) for value in values] for name, values in axes.items()} == {
        "a": [1, 2],
        "b": [0.5, 2.0],
        "seed": [0, 1],
    }


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ({}, ValueError, "axes must have at least one entry"),
        ({"a": []}, ValueError, "axis 'a' is empty"),
        ({"a": "full"}, TypeError, "axis 'a' must be a list of values, got 'full'"),
        ({"a": 0.1}, TypeError, r"axis 'a' must be a list of values, got 0\.1"),
        ({"a": [1, 2, 1.0]}, ValueError, "axis 'a' has values twice: 1"),
        ({"seed": [0, -1]}, ValueError, "axis 'seed' must hold whole numbers from 0 .* got -1"),
        ({"seed": [2**32]}, ValueError, "axis 'seed' must hold whole numbers .* got 4294967296"),
        ({"seed": [0.5]}, ValueError, r"axis 'seed' must hold whole numbers .* got 0\.5"),
    ],
)
def test_bad_axes(axes, error, message):
    with pytest.raises(error, match=message):
        checked_axes(axes)


def make_runs_of(make_trainer, **axes):
    return make_runs(make_trainer, points(axes))


def test_numbers_are_lanes_and_structure_makes_groups():
    problem = make_problem()
    runs = make_runs_of(
        lambda hp: jaxgd.trainer(problem, hp.optimizer(hp.rate), hp.batch_size),
        optimizer=[jaxgd.sgd, jaxgd.adam],
        batch_size=["full", 2],
        rate=[0.1, 0.2],
        seed=[4, 5],
    )
    groups = group_runs(runs)
    assert [[run.index for run in group.runs] for group in groups] == [
        list(range(i, i + 4)) for i in (0, 4, 8, 12)
    ]
    assert [run.seed for run in groups[0].runs] == [4, 5, 4, 5]
    group = groups[-1]
    for lane, run in zip(group.lanes, group.runs, strict=True):
        again = group.trainer(lane, list(group.shared.values()))
        assert jax.tree.structure(again) == jax.tree.structure(run.trainer)
        jax.tree.map(np.testing.assert_array_equal, again, run.trainer)


@pytest.mark.parametrize("anew", [False, True], ids=["one problem", "a problem for each point"])
def test_data_are_held_once(anew):
    problem = make_problem()
    runs = make_runs_of(
        lambda hp: jaxgd.trainer(make_problem() if anew else problem, jaxgd.sgd(hp.rate), 2),
        rate=[0.1, 0.2, 0.3],
    )
    (group,) = group_runs(runs)
    # Training and validation data are the same arrays here, so two buffers serve four leaves.
    assert len(group.shared) == 4
    assert len({id(leaf) for leaf in group.shared.values()}) == 2
    assert [len(lane) for lane in group.lanes] == [1, 1, 1]


def test_data_that_differ_are_not_shared():
    def make_trainer(hp):
        return jaxgd.trainer(
            jaxgd.regression(jaxgd.linear(2), (INPUTS, TARGETS * hp.scale)), jaxgd.sgd(0.1), 2
        )

    (group,) = group_runs(make_runs_of(make_trainer, scale=[1, 2]))
    assert len(group.shared) == 1
    assert [len(lane) for lane in group.lanes] == [2, 2]


def test_make_trainer_must_return_a_trainer():
    with pytest.raises(TypeError, match=r"make_trainer must return a jaxgd.trainer\(...\), got 3 at \(a=1\)"):
        make_runs_of(lambda hp: 3, a=[1])
