"""Early stopping, plateaus, averages and budgets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.rules.stopping import ReduceOnPlateau

KEY = jax.random.key(0)
ROWS = np.random.default_rng(0).normal(size=(23, 3))
TARGETS = ROWS @ [1.0, -2.0, 0.5] + np.random.default_rng(1).normal(size=23)


def make_problem():
    data = (jnp.asarray(ROWS), jnp.asarray(TARGETS))
    return jaxgd.regression(jaxgd.linear(3, 1), data, tuple(x[:7] for x in data))


def make_trainer(rate=0.05, batch_size=4, **options):
    return jaxgd.trainer(make_problem(), jaxgd.momentum(rate), batch_size, **options)


SERIES = [10, 9, 8, 9, 8.9, 8.8, 8.7, 8.6, 8.5]


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ([1, 0.8, 0.79, 0.78, 0.77, 0.60, 0.59], {"patience": 3, "min_delta": 0.05}, (5, 1)),
        (SERIES, {"patience": 0}, (4, 2)),
        (SERIES, {"patience": 1}, (4, 2)),
        (SERIES, {"patience": 2}, (5, 2)),
        (SERIES, {"patience": 3}, (6, 2)),
        ([0.9, 0.8, 0.7, 0.71, 0.72, 0.73], {"patience": 5, "baseline": 0.5}, (5, 2)),
        ([0.9, 0.8, 0.7, 0.71, 0.72, 0.73], {"patience": 5}, (6, 2)),
        ([np.nan, 3, 2, 2.5], {"patience": 2}, (4, 2)),
        ([np.nan, np.nan, np.nan], {"patience": 9}, (3, -1)),
        ([1, 2, 3, 4, 5, 6], {"patience": 2, "start_from_epoch": 3}, (6, 3)),
        ([0.1, 0.5, 0.4, 0.3], {"patience": 2, "mode": "max"}, (4, 1)),
        ([5, 4, 3], {"patience": 0}, (3, 2)),
        ([5], {"patience": 0}, (1, 0)),
    ],
)
def test_early_stopping_by_the_oracle(values, options, expected):
    assert tuple(map(int, jaxgd.early_stopping_trace(values, **options))) == expected


def test_patience_may_be_traced():
    run = jax.jit(jax.vmap(lambda patience: jaxgd.early_stopping_trace(SERIES, patience)))
    epochs_run, best = run(jnp.arange(4))
    assert epochs_run.tolist() == [4, 4, 5, 6]
    assert best.tolist() == [2, 2, 2, 2]


def drifting(params, batch):
    """Losses whose mean is a known series: training moves the parameter by 1 each epoch."""
    series = jnp.asarray(SERIES)
    return jnp.full(len(batch), series[jnp.clip(jnp.round(params).astype(int), 0, 8)]) - (
        params - jax.lax.stop_gradient(params)
    )


def drift_problem():
    return jaxgd.Problem(lambda key: jnp.asarray(-1.0), drifting, jnp.zeros(4), valid=jnp.zeros(2))


@pytest.mark.parametrize("restore_best", [True, False])
def test_a_run_stops_early(x64, restore_best):
    tr = jaxgd.trainer(drift_problem(), jaxgd.sgd(1.0), "full")
    fit = jaxgd.fit(jaxgd.early_stopping(tr, 2, restore_best=restore_best), KEY, 8)
    assert fit.state.status == 1
    assert fit.state.stopped_at == fit.state.updates == 5
    assert fit.state.params == (2.0 if restore_best else 4.0)
    assert int(fit.state.rules[0][0].epoch) == 2
    np.testing.assert_array_equal(fit.history["valid_loss"], [10, 9, 8, 9, 8.9, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(fit.history["updates"], [1, 2, 3, 4, 5, 5, 5, 5])
    np.testing.assert_array_equal(fit.history["examples"], [4, 8, 12, 16, 20, 20, 20, 20])


def test_the_best_is_restored_however_the_run_ends(x64):
    tr = jaxgd.early_stopping(jaxgd.trainer(drift_problem(), jaxgd.sgd(1.0), "full"), 99)
    assert jaxgd.fit(tr, KEY, 6).state.params == 2
    spent = jaxgd.fit(jaxgd.budget(tr, updates=5), KEY, 8).state
    assert (spent.status, spent.params, spent.stopped_at) == (3, 2, 5)


def test_the_first_rule_names_the_reason(x64):
    tr = jaxgd.trainer(drift_problem(), jaxgd.sgd(1.0), "full")
    assert jaxgd.fit(jaxgd.budget(jaxgd.early_stopping(tr, 2), epochs=5), KEY, 8).state.status == 1
    assert jaxgd.fit(jaxgd.early_stopping(jaxgd.budget(tr, epochs=5), 2), KEY, 8).state.status == 3


def test_plateau_by_the_oracle():
    tr = make_trainer()
    rule = jaxgd.reduce_on_plateau(tr, factor=0.5, patience=2).rules[0]
    own, scales = rule.init(None), []
    for epoch in range(10):
        state = jaxgd.fit(tr, KEY, 1).state._replace(epoch=jnp.asarray(epoch))
        own, _ = rule.after_epoch(own, tr, state, {"valid_loss": jnp.asarray(1.0)})
        scales.append(float(own[2]))
    falls = [i + 1 for i, (a, b) in enumerate(zip([1.0, *scales], scales, strict=False)) if b < a]
    assert falls == [3, 5, 7, 9]
    assert isinstance(rule, ReduceOnPlateau)


def test_a_cooldown_counts_nothing_and_the_scale_has_a_floor(x64):
    tr = jaxgd.trainer(drift_problem(), jaxgd.sgd(0.0), "full")
    tr = jaxgd.reduce_on_plateau(tr, factor=0.1, patience=1, cooldown=2, min_scale=0.05)
    scale = jaxgd.fit(tr, KEY, 9).history["rate_scale"]
    np.testing.assert_allclose(scale, [1, 1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])


def test_a_lower_scale_is_a_lower_rate(x64):
    tr = jaxgd.trainer(make_problem(), jaxgd.sgd(0.1), 4)
    scaled = jaxgd.reduce_on_plateau(tr, factor=0.5, patience=1, min_delta=1e9)
    # Nothing improves by so much: the first value is the best, and the scale falls after every other epoch.
    fit = jaxgd.fit(scaled, KEY, 3)
    np.testing.assert_allclose(fit.history["rate_scale"], [1, 1, 0.5])
    two = jaxgd.fit(tr, KEY, 2)
    np.testing.assert_allclose(fit.history["valid_loss"][:2], two.history["valid_loss"], rtol=1e-12)


def test_averages_of_the_iterates(x64):
    def weights(state):
        return np.asarray(state.params["w"])

    path = [weights(jaxgd.fit(jaxgd.budget(make_trainer(), updates=u), KEY, 3).state) for u in range(1, 13)]
    start = np.zeros_like(path[0])

    def average(**options):
        fit = jaxgd.fit(jaxgd.average_weights(make_trainer(), **options), KEY, 2)
        average, count = fit.state.rules[0]
        assert count == 12
        assert "average_valid_loss" in fit.history
        assert "average_valid_squared_error" in fit.history
        return np.asarray(average["w"])

    np.testing.assert_allclose(average(), np.mean(path, axis=0), rtol=1e-12)
    np.testing.assert_allclose(average(start=4), np.mean(path[4:], axis=0), rtol=1e-12)
    expected = start
    for point in path:
        expected = 0.8 * expected + 0.2 * point
    np.testing.assert_allclose(average(decay=0.8), expected, rtol=1e-12)


def test_the_averaged_iterate_by_the_oracle(x64):
    # SGD on (w - y)**2 / 2 with rate 1/t is the running mean; so is the average of its first differences.
    fit = jaxgd.fit(jaxgd.average_weights(make_trainer(0.01), decay=0.0), KEY, 2)
    for a, p in zip(jax.tree.leaves(fit.state.rules[0][0]), jax.tree.leaves(fit.state.params), strict=True):
        np.testing.assert_array_equal(a, p)
    np.testing.assert_array_equal(fit.history["average_valid_loss"], fit.history["valid_loss"])


# 23 examples in batches of 4: five whole ones and one of 3.
@pytest.mark.parametrize("options", [{}, {"microbatch": 2}, {"microbatch": 3}, {"remainder": "drop"}])
@pytest.mark.parametrize(
    ("spend", "updates", "examples"),
    [
        ({"updates": 1}, 1, 4),
        ({"updates": 5}, 5, 20),
        ({"updates": 8}, 8, (31, 32)),
        ({"examples": 4}, 1, 4),
        ({"examples": 22}, 5, 20),
        ({"examples": 23}, (6, 5), (23, 20)),
        ({"examples": 29}, 7, (27, 28)),
        ({"epochs": 2}, (12, 10), (46, 40)),
        ({"examples": 3}, 0, 0),
    ],
    ids=str,
)
def test_a_budget_is_spent_and_never_exceeded(x64, options, spend, updates, examples):
    is_dropped = options.get("remainder") == "drop"
    updates, examples = (x[is_dropped] if isinstance(x, tuple) else x for x in (updates, examples))
    tr = jaxgd.budget(make_trainer(**options), **spend)
    fit = jaxgd.fit(tr, KEY, 4)
    assert (int(fit.state.updates), int(fit.state.examples)) == (updates, examples)
    assert fit.state.status == 3
    assert fit.state.stopped_at == updates
    assert not np.isnan(fit.history["valid_loss"][0])
    assert np.isnan(fit.history["valid_loss"][-1])


def test_the_train_loss_of_an_epoch_cut_short_is_over_its_examples(x64):
    fit = jaxgd.fit(jaxgd.budget(make_trainer(0.0), examples=8), KEY, 2)
    from jaxgd.training.batching import epoch_order

    order = epoch_order(KEY, 0, 23, "shuffle")
    np.testing.assert_allclose(fit.history["train_loss"][0], np.mean(TARGETS[order[:8]] ** 2 / 2), rtol=1e-12)


def test_an_epoch_without_examples_has_no_train_loss(x64):
    fit = jaxgd.fit(jaxgd.budget(make_trainer(), examples=1), KEY, 1)
    assert np.isnan(fit.history["train_loss"][0])
    assert not np.isnan(fit.history["valid_loss"][0])


def test_divergence_comes_before_rules():
    tr = jaxgd.early_stopping(jaxgd.budget(make_trainer(1e30), epochs=2), 0)
    fit = jaxgd.fit(tr, KEY, 3)
    assert fit.state.status == 2
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(fit.state.params))


def test_halting_can_be_turned_off():
    fit = jaxgd.fit(make_trainer(1e30, halt_on_divergence=False), KEY, 3)
    assert fit.state.status == 0
    assert fit.state.updates == 18
    assert fit.state.examples == 69
    assert not np.isfinite(fit.history["train_loss"][-1])


RULES = {
    "early_stopping": lambda tr, x: jaxgd.early_stopping(tr, jnp.where(x > 0.3, 0, 5), min_delta=x),
    "restoring nothing": lambda tr, x: jaxgd.early_stopping(tr, 0, 1e9 * x, restore_best=False),
    "plateau": lambda tr, x: jaxgd.reduce_on_plateau(tr, factor=x, patience=1, min_delta=1e6),
    "polyak": lambda tr, x: jaxgd.average_weights(tr, start=jnp.asarray(10 * x, int)),
    "ema": lambda tr, x: jaxgd.average_weights(tr, decay=x),
    "budget of updates": lambda tr, x: jaxgd.budget(tr, updates=jnp.asarray(20 * x, int)),
    "budget of examples": lambda tr, x: jaxgd.budget(tr, examples=jnp.asarray(60 * x, int)),
    "two": lambda tr, x: jaxgd.budget(jaxgd.early_stopping(tr, 1), examples=jnp.asarray(60 * x, int)),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_commute_with_vmap(x64, rule):
    # The one with two rules runs on batch sizes that are traced too.
    options = {"batch_size": jnp.asarray(6), "microbatch": 4} if rule == "two" else {"batch_size": 4}

    @jax.jit
    def run(x):
        fit = jaxgd.fit(RULES[rule](make_trainer(**options), x), KEY, 3)
        return fit.state.params, fit.history, fit.state.status, fit.state.stopped_at

    numbers = jnp.asarray([0.1, 0.35, 0.8])
    together, alone = jax.jit(jax.vmap(run))(numbers), [run(x) for x in numbers]
    for lane, one in enumerate(alone):
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(a[lane], b, rtol=1e-9)


def test_numbers_of_rules_are_lanes_of_one_sweep():
    def make(hp):
        return jaxgd.budget(jaxgd.early_stopping(make_trainer(hp.rate), hp.patience), updates=hp.budget)

    axes = {"rate": [0.01, 0.1], "patience": [0, 3], "budget": [3, 30]}
    result = jaxgd.sweep(make, axes, epochs=4, progress=False)
    assert len(result.plan.groups) == 1
    assert set(result.dataset.status.sel(budget=3).values.ravel()) == {"budget spent"}
    one = jaxgd.fit(make(type("HP", (), {"rate": 0.1, "patience": 3, "budget": 30})), KEY, 4)
    params = result.params(rate=0.1, patience=3, budget=30)
    for a, b in zip(jax.tree.leaves(one.state.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_array_equal(a, b)


class CountNegative(jaxgd.Rule):
    """A rule of one's own: how often the first weight was negative after an update."""

    threshold: float = 0.0

    acts_on_updates = True

    def init(self, seen):
        return jnp.zeros((), jnp.int32)

    def after_update(self, own, seen):
        return own + (seen.params["w"][0, 0] < self.threshold).astype(jnp.int32)


def test_a_rule_of_ones_own():
    tr = make_trainer(0.1, rules=[CountNegative(-9.0)])
    assert int(jaxgd.fit(tr, KEY, 2).state.rules[0]) == 0
    assert int(jaxgd.fit(tr.replace(rules=[CountNegative(9.0)]), KEY, 2).state.rules[0]) == 12


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda tr: jaxgd.early_stopping(tr, -1),
            "patience must be a whole number of epochs, 0 or more, got -1",
        ),
        (lambda tr: jaxgd.early_stopping(tr, 1.5), "patience must be a whole number of epochs"),
        (
            lambda tr: jaxgd.early_stopping(tr, 1, min_delta=-0.1),
            "min_delta must be a finite number, 0 or more",
        ),
        (lambda tr: jaxgd.early_stopping(tr, 1, baseline=np.nan), "baseline must be a finite number or None"),
        (lambda tr: jaxgd.early_stopping(tr, 1, start_from_epoch=-2), "start_from_epoch must be"),
        (lambda tr: jaxgd.early_stopping(tr, 1, mode="auto"), "unknown mode 'auto'.*known: min, max"),
        (
            lambda tr: jaxgd.early_stopping(tr, 1, monitor="val_loss"),
            "did you mean 'valid_loss'.*squared_error",
        ),
        (lambda tr: jaxgd.reduce_on_plateau(tr, factor=1.0), "factor must be above 0 and below 1, got 1.0"),
        (lambda tr: jaxgd.reduce_on_plateau(tr, patience=0), "patience must be a whole number of epochs, 1"),
        (lambda tr: jaxgd.reduce_on_plateau(tr, cooldown=-1), "cooldown must be"),
        (lambda tr: jaxgd.reduce_on_plateau(tr, min_scale=2), "min_scale must be from 0 to 1, got 2"),
        (
            lambda tr: jaxgd.average_weights(tr, decay=1.0),
            "decay must be from 0 to below 1, or None, got 1.0",
        ),
        (lambda tr: jaxgd.average_weights(tr, start=-1), "start must be a whole number of updates"),
        (lambda tr: jaxgd.budget(tr), "budget needs exactly one of updates, examples and epochs"),
        (lambda tr: jaxgd.budget(tr, updates=1, epochs=1), "budget needs exactly one"),
        (lambda tr: jaxgd.budget(tr, updates=0), "updates must be a whole number, 1 or more, got 0"),
        (lambda tr: jaxgd.budget(tr, examples=1.5), "examples must be a whole number, 1 or more, got 1.5"),
    ],
)
def test_bad_numbers(build, message):
    with pytest.raises(ValueError, match=message):
        build(make_trainer())


def test_a_word_is_no_number():
    with pytest.raises(TypeError, match="patience must be a whole number of epochs, 0 or more, got 'three'"):
        jaxgd.early_stopping(make_trainer(), "three")
    with pytest.raises(TypeError, match="rules must be"):
        make_trainer(rules=[lambda: None])
