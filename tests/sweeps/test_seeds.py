"""Seeds: each has a key of its own, and one that has not is refused wherever a seed is taken."""

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.specs.choices import check_choices
from jaxgd.specs.spec import parse_spec
from jaxgd.sweeps.lanes.sources import Sources
from jaxgd.sweeps.runs import checked_runs

X = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
TRAINER = jaxgd.trainer(jaxgd.regression(jaxgd.linear(2, 1), (X, X[:, 0])), jaxgd.sgd(0.1), 3)
# From both ends and from around the places where a sign or the last of 32 bits would be lost.
SEEDS = [*range(250), *range(2**31 - 250, 2**31 + 250), *range(2**32 - 250, 2**32)]


def test_a_thousand_seeds_have_a_thousand_keys():
    runs, _ = checked_runs(lambda hp: TRAINER, {"seed": SEEDS}, 1)
    sources = Sources(epochs=1)
    keys = {np.asarray(sources.key_data(run)).tobytes() for run in runs}
    assert len(keys) == len(SEEDS) == 1000


def test_large_seeds_are_runs_of_fit():
    seeds = [2**31 - 1, 2**31, 2**32 - 1]
    result = jaxgd.sweep(lambda hp: TRAINER, {"seed": seeds}, 2, progress=False, exact=True)
    for place, seed in enumerate(seeds):
        alone = jax.jit(jaxgd.fit, static_argnames="epochs")(TRAINER, jax.random.key(seed), epochs=2)
        np.testing.assert_array_equal(result.dataset.train_loss[place], alone.history["train_loss"])
        assert int(result.dataset.seed[place]) == seed


def spec(**changes):
    fixed = {"optimizer": "sgd", "batch_size": 32}
    document = {"data": "digits", "epochs": 1, "fixed": fixed, "axes": {"learning_rate": [0.1]}}
    return parse_spec({**document, **changes}, "mine.toml")


TAKERS = {
    "sweep": lambda seed: jaxgd.sweep(lambda hp: TRAINER, {"seed": [0, seed]}, 1, progress=False),
    "points": lambda seed: jaxgd.sweep(lambda hp: TRAINER, [{"seed": 0}, {"seed": seed}], 1, progress=False),
    "plan": lambda seed: jaxgd.plan(lambda hp: TRAINER, {"seed": [0, seed]}, 1),
    "compare": lambda seed: jaxgd.compare("digits", first_seed=seed, progress=False),
    "choices": lambda seed: check_choices(first_seed=seed),
    "spec, fixed": lambda seed: spec(fixed={"optimizer": "sgd", "batch_size": 32, "seed": seed}),
    "spec, axes": lambda seed: spec(axes={"learning_rate": [0.1], "seed": [0, seed]}),
    "spec, draw": lambda seed: spec(
        axes={}, draw={"num": 2, "ranges": {"learning_rate": [0.1, 0.2]}, "seed": seed}
    ),
    "draw": lambda seed: jaxgd.draw(2, {"a": [1, 2]}, seed=seed),
    "split": lambda seed: jaxgd.datasets.split(X, X[:, 0], "regression", seed),
    "surface": lambda seed: jaxgd.landscape.surface("sphere").problem(noise=1.0, seed=seed),
    "hikers": lambda seed: jaxgd.landscape.hikers(seed=seed),
}


@pytest.mark.parametrize("seed", [-1, 2**32, 2**32 + 1, 2**64, 0.5, float("nan"), True, "0"], ids=repr)
@pytest.mark.parametrize("taker", TAKERS)
def test_other_seeds_are_refused_in_one_line(taker, seed):
    with pytest.raises((ValueError, TypeError), match=r"seed.* from 0 to") as error:
        TAKERS[taker](seed)
    assert "\n" not in str(error.value)
