"""`iterate`, the run of `fit` as a loop, and what runs go on from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.pacing import BySeconds, ByUpdates

KEY = jax.random.key(0)
ROWS = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(3, 1), (ROWS, ROWS[:, 0]), (ROWS[:7], ROWS[:7, 0]))


def make_trainer(optimizer=None, **options):
    return jaxgd.trainer(PROBLEM, optimizer or jaxgd.adam(0.05), **({"batch_size": 4} | options))


def with_rules(trainer):
    return jaxgd.budget(jaxgd.early_stopping(trainer, 3, min_delta=1e-3), updates=20)


def assert_same(pair, other):
    (state, history), (other_state, other_history) = pair, other
    jax.tree.map(np.testing.assert_array_equal, state._replace(key=0), other_state._replace(key=0))
    jax.tree.map(np.testing.assert_array_equal, history, other_history)


@pytest.mark.parametrize("with_rules", [lambda trainer: trainer, with_rules], ids=["bare", "rules"])
@pytest.mark.parametrize("options", [{}, {"microbatch": 3}, {"remainder": "drop"}], ids=str)
def test_any_pace_is_fit_and_any_pair_a_start(options, with_rules):
    trainer = with_rules(make_trainer(**options))
    whole = jaxgd.fit(trainer, KEY, 6)
    for every in ("epoch", 1, 5, 1000, jaxgd.seconds(0.01)):
        pairs = list(jaxgd.iterate(trainer, KEY, 6, every))
        assert_same(pairs[-1], whole)
        for pair in pairs[:-1][::5]:
            assert_same(jaxgd.fit(trainer, KEY, 6, start=pair), whole)
            assert_same(jaxgd.train(trainer, KEY, 6, progress=False, start=pair), whole)


def test_epochs_and_updates_as_they_are_counted():
    states = [state for state, _ in jaxgd.iterate(make_trainer(), KEY, 3)]
    assert [int(state.epoch) for state in states] == [1, 2, 3]
    states = [state for state, _ in jaxgd.iterate(make_trainer(), KEY, 3, every=5)]
    assert [int(state.updates) for state in states] == [5, 10, 15, 18]
    growing = make_trainer(batch_size=jaxgd.optim.exponential_decay(4, 1, 2.0), microbatch=4)
    states = [state for state, _ in jaxgd.iterate(growing, KEY, 3, every=4)]
    assert [int(state.updates) for state in states] == [4, 8, 11]  # epochs of 6, 3 and 2


def test_what_has_been_given_stays_as_it_is():
    trainer, held = with_rules(make_trainer()), []
    for state, history in jaxgd.iterate(trainer, KEY, 4):
        held.append((state, history, np.array(state.params["w"]), np.array(history["train_loss"])))
    for state, history, weights, losses in held:
        np.testing.assert_array_equal(state.params["w"], weights)
        np.testing.assert_array_equal(history["train_loss"], losses)
    started = jaxgd.fit(trainer, KEY, 2, start=held[0][0])
    assert np.isfinite(started.history["train_loss"]).all()
    np.testing.assert_array_equal(held[0][0].params["w"], held[0][2])


def test_a_run_that_stops_ends_the_loop():
    trainer = jaxgd.budget(make_trainer(), epochs=2)
    epochs = [int(state.epoch) for state, _ in jaxgd.iterate(trainer, KEY, 50)]
    assert epochs == [1, 50]


def test_a_new_run_goes_on_from_the_optimizers_state():
    whole, first = jaxgd.fit(make_trainer(sampling="shuffle"), KEY, 1), jaxgd.fit(make_trainer(), KEY, 1)
    second = jaxgd.fit(make_trainer(batch_size=8), jax.random.key(1), 2, start=first.state)
    assert int(second.state.updates) == 6
    assert int(second.state.opt_state[0].count) == 12
    cold = jaxgd.fit(make_trainer(batch_size=8), jax.random.key(1), 2)
    assert float(second.history["train_loss"][0]) < float(cold.history["train_loss"][0])
    assert_same(first, whole)
    still = jaxgd.fit(make_trainer(jaxgd.adam(0.0)), KEY, 1, start=first.state)
    np.testing.assert_array_equal(still.state.params["w"], first.state.params["w"])


def test_a_start_may_be_traced():
    first = jaxgd.fit(make_trainer(), KEY, 1).state

    def loss(scale):
        start = first._replace(params=jax.tree.map(lambda p: scale * p, first.params))
        return jaxgd.fit(make_trainer(), KEY, 1, start=start).history["valid_loss"][0]

    assert jnp.isfinite(jax.jit(jax.vmap(loss))(jnp.array([0.5, 1.0]))).all()


def test_a_longer_run_of_the_same():
    assert_same(
        jaxgd.fit(make_trainer(), KEY, 5, start=jaxgd.fit(make_trainer(), KEY, 2)),
        jaxgd.fit(make_trainer(), KEY, 5),
    )


def test_bad_arguments():
    trainer = make_trainer()
    for every in ("epcoh", 0, -1):
        with pytest.raises(ValueError, match='every must be "epoch", a number of updates'):
            jaxgd.iterate(trainer, KEY, 1, every)
    with pytest.raises(TypeError, match=r"every must be .* got 1\.5"):
        jaxgd.iterate(trainer, KEY, 1, 1.5)
    for number in (0, -1.0, np.inf, np.nan, "half", True):
        with pytest.raises(ValueError, match="seconds must be a finite number above 0"):
            jaxgd.seconds(number)
    with pytest.raises(TypeError, match="iterate drives a run from the host: inside jit"):
        jax.jit(lambda key: list(jaxgd.iterate(trainer, key, 1)))(KEY)


def test_a_start_that_does_not_fit():
    trainer, other = make_trainer(), jaxgd.linear(2, 1)
    done = jaxgd.fit(trainer, KEY, 2)
    narrow = jaxgd.trainer(jaxgd.regression(other, (ROWS[:, :2], ROWS[:, 0])), jaxgd.adam(0.1), 4)
    within = next(jaxgd.iterate(trainer, KEY, 2, every=3))
    for run, given, error, message in [
        (narrow, done.state, ValueError, r"its params\['w'\] is float32\[3, 1\], float32\[2, 1\] is needed"),
        (
            make_trainer(jaxgd.momentum(0.1)),
            done.state,
            ValueError,
            r"its opt_state\[0\].count is int32\[\], no",
        ),
        (
            trainer,
            done.state.params,
            TypeError,
            r"start must be a state, .* or a pair \(state, history\), .* dict",
        ),
        (
            with_rules(trainer),
            done,
            ValueError,
            r"its rules\[0\]\[0\].best is nothing, float32\[\] is needed",
        ),
        (
            trainer.replace(batch_size=5),
            within,
            ValueError,
            "start is 12 examples into an epoch, which is no",
        ),
    ]:
        for go in (jaxgd.fit, jaxgd.iterate, jaxgd.train):
            with pytest.raises(error, match=message):
                go(run, KEY, 3, start=given)
    with pytest.raises(ValueError, match="epochs must be 2 or more, as many as start's history has, got 1"):
        jaxgd.fit(trainer, KEY, 1, start=done)
    with pytest.raises(ValueError, match="key must be that of the run"):
        jaxgd.fit(trainer, jax.random.key(1), 3, start=done)
    with pytest.raises(TypeError, match=r"goes on from \(state, history\) on the host"):
        jax.jit(lambda start: jaxgd.fit(trainer, KEY, 3, start=start))(done)


def test_a_loss_that_is_nan_from_the_start_is_an_error():
    problem = jaxgd.Problem(lambda key: np.zeros(3, np.float32), lambda p, x: np.nan * (x @ p), ROWS)
    with pytest.raises(ValueError, match="the loss or its gradient on the first batch is NaN or infinite"):
        next(jaxgd.iterate(jaxgd.trainer(problem, jaxgd.sgd(0.1), 4), KEY, 10))


def test_ends_of_updates():
    problem = jaxgd.regression(jaxgd.linear(3, 1), (ROWS[:20], ROWS[:20, 0]))
    keep = ByUpdates(jaxgd.trainer(problem, jaxgd.sgd(0.1), 8), 3, 4)
    assert [keep.end_after(begin) for begin in (0, 8, 20, 40, 56)] == [28, 36, 48, 60, 60]
    drop = ByUpdates(jaxgd.trainer(problem, jaxgd.sgd(0.1), 8, remainder="drop"), 3, 2)
    assert [drop.end_after(begin) for begin in (0, 8, 20)] == [20, 28, 40]


def test_the_pace_of_seconds():
    pace = BySeconds(make_trainer(), 100, 0.5)
    widths = []
    for seconds in (0.1, 0.1, 10.0, 0.5, 0.01):
        widths.append(pace.end_after(0))
        pace.took(widths[-1], seconds)
    assert widths == [23, 92, 368, 18, 18]
    assert pace.end_after(0) == 69
