"""The noise scale over stretches of training: by hand, of runs and sweeps, and against the one from steps."""

import math
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.studies import gradient_noise_scale, noise_scale_over_training, noisy_quadratic

HISTORY = {"noise_trace": [4.0, 4.2, 9.0, 9.3], "noise_squared_norm": [2.0, 2.1, 1.0, 0.9]}
RATES, SEEDS = [0.1, 0.02], [0, 1, 2]


def test_means_first_and_the_ratio_last():
    (whole,) = noise_scale_over_training(HISTORY)
    assert whole[:2] == (1, 4)
    assert whole.scale.value == pytest.approx(26.5 / 6)
    assert (whole.scale.trace, whole.scale.squared_norm, whole.scale.steps) == pytest.approx((6.625, 1.5, 4))
    halves = noise_scale_over_training(HISTORY, 2)
    assert [stretch[:2] for stretch in halves] == [(1, 2), (3, 4)]
    assert [stretch.scale.value for stretch in halves] == pytest.approx([2, 18.3 / 1.9])
    single = noise_scale_over_training(HISTORY, 4)[0].scale
    assert (single.value, single.reason) == (2, "one epoch has no interval")
    assert math.isnan(single.low)


def test_the_interval_is_that_of_the_steps():
    """Estimates that are the same pairs give the same interval."""
    rng = np.random.default_rng(0)
    small, large = 3 + rng.normal(size=50) / 5, 2 + rng.normal(size=50) / 5
    steps = gradient_noise_scale(small, large, 2, 8)
    history = {
        "noise_trace": (small - large) / (1 / 2 - 1 / 8),
        "noise_squared_norm": (8 * large - 2 * small) / 6,
    }
    assert noise_scale_over_training(history)[0].scale == pytest.approx((*steps[:6], ""))
    fewer = noise_scale_over_training(history, blocks=5)[0].scale
    assert fewer.interval == pytest.approx(gradient_noise_scale(small, large, 2, 8, blocks=5).interval)


def test_where_there_is_none():
    lost = {"noise_trace": [3.33333, 3.0], "noise_squared_norm": [-0.833333, 0.2]}
    scale = noise_scale_over_training(lost)[0].scale
    assert math.isnan(scale.value)
    assert scale.reason == "the estimate of |G|² is -0.317, not above 0: the gradient is lost in its noise"
    ended = {name: [*column[:2], math.nan, math.nan] for name, column in HISTORY.items()}
    first, last = noise_scale_over_training(ended, 2)
    assert first.scale.value == pytest.approx(2)
    assert math.isnan(last.scale.value)
    assert last.scale.steps == 0
    assert last.scale.reason.startswith(
        "no epoch has an estimate: each batch is one micro-batch, or the runs"
    )


def test_runs_along_leading_axes_are_averaged():
    runs = {name: [column, [1.0, 2.0, 3.0, math.nan]] for name, column in HISTORY.items()}
    assert noise_scale_over_training(runs)[0].scale.value == pytest.approx(32.5 / 12)
    assert noise_scale_over_training(runs, 2)[1].scale.steps == 3


def make_trainer(hp):
    problem = noisy_quadratic([2.0, 0.5], [4.0, 1.0], start=[0.5, 2.0])
    trainer = jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), 16, 4, sampling="replacement")
    return jaxgd.noise_scale(trainer, parts="all")


@pytest.fixture(scope="module")
def result():
    axes = {"learning_rate": RATES, "seed": SEEDS}
    return jaxgd.sweep(make_trainer, axes, 4, progress=False)


def test_of_a_sweep(result):
    dataset = result.dataset
    assert {"noise_trace", "noise_squared_norm", "noise_scale"} <= set(dataset.data_vars)
    over_seeds = noise_scale_over_training(result, 2, learning_rate=0.02)
    assert over_seeds == noise_scale_over_training(dataset, 2, learning_rate=0.02)
    assert over_seeds == noise_scale_over_training(dataset.sel(learning_rate=0.02), 2)
    part = dataset.sel(learning_rate=0.02, epoch=[3, 4])
    assert over_seeds[1][:2] == (3, 4)
    expected = float(part.noise_trace.mean()) / float(part.noise_squared_norm.mean())
    assert over_seeds[1].scale.value == pytest.approx(expected)
    assert over_seeds[1].scale.steps == 6
    both = noise_scale_over_training(result, over=["learning_rate", "seed"])
    assert both[0].scale.steps == 24


def test_of_one_run_of_a_sweep(result):
    run = noise_scale_over_training(result, learning_rate=0.1, seed=2)[0].scale
    trainer = make_trainer(SimpleNamespace(learning_rate=0.1))
    alone = noise_scale_over_training(jaxgd.fit(trainer, jax.random.key(2), 4).history)[0].scale
    assert run[:6] == pytest.approx(alone[:6], rel=1e-4)


def test_a_standing_run_covers_the_scale_that_is_known():
    trainer = make_trainer(SimpleNamespace(learning_rate=0.0))
    scale = noise_scale_over_training(jaxgd.fit(trainer, jax.random.key(0), 100).history)[0].scale
    assert 2.3 < scale.low < 2.5 < scale.high < 2.7


@pytest.mark.parametrize(
    ("arguments", "where", "message"),
    [
        (({"train_loss": [1.0]},), {}, "measured must have noise_trace and noise_squared_norm, which jaxgd"),
        (({**HISTORY, "noise_trace": [1.0]},), {}, r"must be of one shape, .* got \[1\] and \[4\]"),
        ((HISTORY, 5), {}, "stretches must be a whole number, from 1 to 4, got 5"),
        ((HISTORY,), {"blocks": 1}, "blocks must be a whole number, 2 or more, got 1"),
        ((HISTORY,), {"seed": 1}, "measured has no axes to choose from, got seed"),
        ((HISTORY,), {"over": "seed"}, "measured has no axes to choose from, got over='seed'"),
    ],
)
def test_bad_arguments(arguments, where, message):
    with pytest.raises(ValueError, match=message):
        noise_scale_over_training(*arguments, **where)


def test_bad_arguments_of_a_sweep(result):
    with pytest.raises(
        ValueError, match=r"learning_rate must be one of \[0.1, 0.02\], or over='learning_rate"
    ):
        noise_scale_over_training(result)
    with pytest.raises(ValueError, match="unknown axis 'rate'"):
        noise_scale_over_training(result, rate=0.1)
    with pytest.raises(ValueError, match=r"axis 'learning_rate' has no value 0.3; it has \[0.1, 0.02\]"):
        noise_scale_over_training(result, learning_rate=0.3)
    with pytest.raises(TypeError, match=r"measured must be a history, .* got list"):
        noise_scale_over_training([1.0])
