import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.landscape.networks.training_paths import training_path

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(50, 4)).astype(np.float32)
PROBLEM = jaxgd.classification(jaxgd.mlp([4, 3, 3], "tanh"), (INPUTS, RNG.integers(0, 3, 50)))
KEY = jax.random.key(2)


def same(a, b):
    return jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "batch_size", "rules"),
    [
        (jaxgd.adam(1e-2), 8, ()),
        (jaxgd.sgd(0.3), "full", ()),
        (jaxgd.momentum(0.1), 16, (jaxgd.budget, {"updates": 6})),
    ],
)
def test_a_path_is_that_of_fit(optimizer, batch_size, rules):
    trainer = jaxgd.trainer(PROBLEM, optimizer, batch_size)
    if rules:
        trainer = rules[0](trainer, **rules[1])
    path = training_path(trainer, KEY, 4)
    for epochs in (1, 2, 4):
        same(jax.tree.map(lambda p, e=epochs: p[e], path), jaxgd.fit(trainer, KEY, epochs).state.params)
    assert all(len(leaf) == 5 for leaf in jax.tree.leaves(path))


def test_it_starts_at_the_initial_parameters():
    path = training_path(jaxgd.trainer(PROBLEM, jaxgd.sgd(0.3), 8), KEY, 1)
    still = jaxgd.fit(jaxgd.trainer(PROBLEM, jaxgd.sgd(0.0), 8), KEY, 1).state.params
    same(jax.tree.map(lambda p: p[0], path), still)


def test_paths_of_many_keys_and_rates_at_once():
    trainers = [jaxgd.trainer(PROBLEM, jaxgd.sgd(rate), 8) for rate in (0.1, 0.3)]
    stacked, axes = jaxgd.stack(trainers)
    paths = jax.jit(jax.vmap(lambda t: training_path(t, KEY, 3), (axes,)))(stacked)
    alone = training_path(trainers[1], KEY, 3)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-5), paths, alone)


def test_a_run_that_diverges_stays_where_its_epoch_began():
    inputs = 1e3 * INPUTS
    problem = jaxgd.regression(jaxgd.linear(4, 1), (inputs, inputs[:, 0]))
    path = training_path(jaxgd.trainer(problem, jaxgd.sgd(1.0), 8), KEY, 3)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(path))
    same(jax.tree.map(lambda p: p[2], path), jax.tree.map(lambda p: p[3], path))


def test_bad_arguments():
    trainer = jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), 8)
    with pytest.raises(ValueError, match="epochs must be a whole number, 1 or more, got 0"):
        training_path(trainer, KEY, 0)
    with pytest.raises(TypeError, match="trainer must be a"):
        training_path(PROBLEM, KEY, 1)
