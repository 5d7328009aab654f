import dataclasses

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.landscape.networks.close_up import look

pytestmark = pytest.mark.slow  # trains, and looks at the curvature of every run

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(40, 4)).astype(np.float32)
TARGETS = np.tanh(INPUTS @ [1, -1, 2, 0.5]).astype(np.float32)
DATA = (INPUTS[:30], TARGETS[:30]), (INPUTS[30:], TARGETS[30:])
PROBLEM = jaxgd.regression(jaxgd.mlp([4, 3, 1], "tanh"), *DATA)


def trainer_of(batch_size, learning_rate, seed):
    return jaxgd.trainer(PROBLEM, jaxgd.sgd(learning_rate), int(batch_size))


@pytest.fixture(scope="module")
def result():
    axes = {"batch_size": [30, 10], "learning_rate": [0.1, 1e8], "seed": [3, 4]}
    return jaxgd.sweep(lambda hp: trainer_of(**hp), axes, 4, progress=False)


@pytest.fixture(scope="module")
def landscape(result):
    return look(result, trainer_of)


def test_the_best_run_of_each_batch_size_is_looked_at(landscape):
    assert landscape.contrast == "batch_size"
    assert [run.name for run in landscape.runs] == ["full batch", "batch 10"]
    assert landscape.runs[1].coords == {"batch_size": 10, "learning_rate": 0.1, "seed": 3}


def test_runs_are_repeated_bit_for_bit(result, landscape):
    assert all(run.is_repeat for run in landscape.runs)
    run = landscape.runs[1]
    assert run.along.epochs.tolist() == [0, 1, 2, 3, 4]
    expected = landscape.curvature.sharpness.sel(run.coords)
    np.testing.assert_allclose(run.along.sharpness[-1], expected, rtol=1e-3)
    np.testing.assert_allclose(run.along.limit, 20)
    assert run.plane.directions.path.shape == (2, 5)


def test_limits_are_those_of_each_point(landscape):
    np.testing.assert_allclose(landscape.limits, [[20, 2e-8]] * 2)


def test_the_line_goes_from_one_seed_to_another(result, landscape):
    assert landscape.line_name == "batch 10, seed 3 to seed 4"
    ends = [
        jaxgd.evaluate(PROBLEM, result.params(batch_size=10, learning_rate=0.1, seed=seed), "train")["loss"]
        for seed in (3, 4)
    ]
    at = [np.flatnonzero(np.isclose(landscape.between.positions, t))[0] for t in (0, 1)]
    np.testing.assert_allclose(np.asarray(landscape.between.losses)[at], ends, rtol=1e-4)


def test_a_run_that_is_not_repeated_is_told(result, landscape):
    states = [(jax.tree.map(lambda x: x + 1, params), state) for params, state in result.states]
    changed = look(dataclasses.replace(result, states=states), trainer_of)
    assert not any(run.is_repeat for run in changed.runs)


def test_where_all_diverged_nothing_is_looked_at():
    axes = {"batch_size": [10], "learning_rate": [1e8], "seed": [0]}
    result = jaxgd.sweep(lambda hp: trainer_of(**hp), axes, 2, progress=False)
    found = look(result, trainer_of)
    assert found.runs == []
    assert found.between is None
    assert np.isnan(found.curvature.sharpness).all()
