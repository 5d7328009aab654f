"""Axes of points, and what a sweep warns of."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.axes import Point, checked_axes, columns, points
from jaxgd.sweeps.runs import make_runs

INPUTS = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(2), (INPUTS, INPUTS[:, 0]))
DRAWN = [{"learning_rate": 0.1, "batch_size": "full"}, {"learning_rate": 0.2, "batch_size": 4}]


def make_trainer(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), hp.batch_size)


def sweep(make=make_trainer, axes=DRAWN, epochs=2):
    return jaxgd.sweep(make, axes, epochs, progress=False)


def test_points_as_axes():
    axes = checked_axes({"point": DRAWN, "seed": [0, 1]})
    grid = points(axes)
    assert [tuple(point.items()) for point in grid[1:3]] == [
        (("learning_rate", 0.1), ("batch_size", "full"), ("seed", 1)),
        (("learning_rate", 0.2), ("batch_size", 4), ("seed", 0)),
    ]
    assert columns(axes) == {"learning_rate": [0.1, 0.2], "batch_size": ["full", 4], "seed": [0, 1]}


def test_a_list_of_points():
    result = sweep()
    assert result.dataset.train_loss.dims == ("point", "epoch")
    assert result.dataset.learning_rate.dims == result.dataset.batch_size.dims == ("point",)
    assert result.dataset.batch_size.values.tolist() == [12, 4]
    fit = jaxgd.fit(make_trainer(Point(DRAWN[1])), jax.random.key(0), 2)
    np.testing.assert_array_equal(result.dataset.train_loss[1], fit.history["train_loss"])
    jax.tree.map(np.testing.assert_array_equal, result.params(point=1), fit.state.params)


def test_points_with_seeds_of_their_own():
    result = sweep(axes={"run": [point | {"seed": 3} for point in DRAWN]})
    fit = jaxgd.fit(make_trainer(Point(DRAWN[0])), jax.random.key(3), 2)
    np.testing.assert_array_equal(result.dataset.train_loss[0], fit.history["train_loss"])
    assert result.dataset.seed.values.tolist() == [3, 3]


def test_drawn_points():
    drawn = jaxgd.draw(4, {"learning_rate": jaxgd.log_uniform(1e-3, 0.1)}, seed=0)
    result = sweep(
        lambda hp: jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), 4), {"point": drawn, "seed": [0, 1]}
    )
    assert dict(result.dataset.sizes) == {"point": 4, "seed": 2, "epoch": 2}
    assert len(result.plan.groups) == 1


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ([], ValueError, "axis 'point' is empty"),
        (3, TypeError, "axes must be a mapping from names to values, or a list of points, got 3"),
        (
            [{"a": 1}, {"b": 1}],
            ValueError,
            "axis 'point' must hold points with the same names, got {'a': 1} and",
        ),
        (
            [{"a": 1, "b": None}, {"b": None, "a": np.float32(1)}],
            ValueError,
            r"axis 'point' has points twice: {'a': 1, 'b': None}",
        ),
        ([{"a": 1}, 3], ValueError, "axis 'point' must hold points with the same names"),
        (
            {"a": [1], "p": [{"a": 2}]},
            ValueError,
            r"axis 'p' has points with the name of another axis: \['a'\]",
        ),
        ([{"seed": -1}], ValueError, "axis 'seed' must hold whole numbers"),
        ({3: [1]}, TypeError, "axes must have names that are strings, got 3"),
        ({"a": {"b": 1}}, TypeError, "axis 'a' must be a list of values, got {'b': 1}"),
    ],
)
def test_bad_axes(axes, error, message):
    with pytest.raises(error, match=message):
        checked_axes(axes)


def test_an_axis_that_nobody_reads():
    grid = points({"learning_rate": [0.1, 0.2], "momentum": [0.0, 0.9], "seed": [0, 1], "only": [3]})
    with pytest.warns(
        UserWarning, match="make_trainer never uses axis 'momentum': the runs along it"
    ) as caught:
        make_runs(lambda hp: jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), 4), grid)
    assert len(caught) == 1


def test_reading_all_of_a_point_is_reading():
    grid = points({"learning_rate": [0.1, 0.2]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_runs(lambda hp: jaxgd.trainer(PROBLEM, jaxgd.sgd(**hp), 4), grid)


def closes_over(hp):
    def loss(params, batch):
        return hp.scale * (params - batch) ** 2

    return jaxgd.trainer(jaxgd.Problem(lambda key: jnp.zeros(()), loss, jnp.ones(4)), jaxgd.sgd(0.1), 4)


def test_a_function_that_makes_every_lane_a_program():
    line = closes_over.__code__.co_firstlineno + 1
    expected = f"5 programs differ only in what the function loss ({__file__}, line {line}) holds"
    with pytest.warns(UserWarning, match=re.escape(expected)):
        jaxgd.plan(closes_over, {"scale": [1.0, 2.0, 3.0, 4.0, 5.0]}, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jaxgd.plan(closes_over, {"scale": [1.0, 2.0, 3.0]}, 1)


def test_what_make_trainer_raises_tells_the_point():
    def fails(hp):
        raise KeyError("mine")

    def refuses(hp):
        return jaxgd.trainer(PROBLEM, jaxgd.sgd(-hp.learning_rate), 4)

    with pytest.raises(KeyError) as caught:
        sweep(fails)
    assert "make_trainer raised this at (learning_rate=0.1, batch_size='full')" in caught.value.__notes__
    with pytest.raises(
        ValueError, match=r"learning_rate must be .* \(from make_trainer at \(learning_rate=0.1"
    ):
        sweep(refuses)


def test_a_rule_that_measures_no_number():
    class Measures(jaxgd.Rule):
        def history_names(self, problem):
            return ("pair",)

        def measure(self, own, seen, state):
            return {"pair": jnp.zeros(2)}

    def make(hp):
        return jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), 4, rules=[Measures()])

    with pytest.raises(ValueError, match=r"pair must be one number an epoch, got shape \(2,\)"):
        sweep(make, {"learning_rate": [0.1]})


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"rate": ["0.1", "1e-3"]}, "axis 'rate' holds texts that are numbers, '0.1', '1e-3'"),
        ({"rate": np.array([0.1, "0.2", "0.3"])}, "axis 'rate' holds texts that are numbers, '0.1', '0.2':"),
        ({"rate": {0.1, 0.2}}, "axis 'rate' must be a list of values, got a set"),
        ({"key": [jax.random.key(0)]}, "axis 'key' holds PRNG keys: give seeds"),
        ({"seed": jax.random.split(jax.random.key(0), 2)}, "axis 'seed' holds PRNG keys: give seeds"),
        ([0.1, 0.2], "axes must be .*, got a list with 0.1"),
    ],
)
def test_values_of_another_kind_than_was_meant(axes, message):
    with pytest.raises(TypeError, match=message):
        checked_axes(axes)


def test_texts_among_which_one_is_no_number_are_names():
    assert checked_axes({"size": ["8", "full"]}) == {"size": ["8", "full"]}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            make_trainer(Point(DRAWN[1])),
            r"make_trainer must be a function, such as lambda hp: .* got trainer\(",
        ),
        (lambda: None, r"called with one argument, a point, .* hp\.batch_size; got \(\)"),
        (lambda hp, size: None, r"called with one argument, a point, .* got \(hp, size\)"),
        (lambda hp: None, r"got None at \(learning_rate=0\.1, batch_size='full'\): is its return missing"),
    ],
)
def test_what_makes_no_trainers(make, message):
    with pytest.raises(TypeError, match=message):
        make_runs(make, points({"point": DRAWN}))
