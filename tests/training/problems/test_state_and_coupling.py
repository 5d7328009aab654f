"""Problems with a model state, with coupled batches, with augmentation, and batch sizes that grow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.batching import epoch_order

KEY = jax.random.key(0)
ROWS = np.random.default_rng(0).normal(loc=2.0, size=(23, 3))


def init(key):
    return jnp.zeros(3)


def counting(params, batch, model_state):
    """The squared distance, and a count of the examples and the batches that training has seen."""
    losses = jnp.sum((batch - params[None]) ** 2, axis=1)
    return losses, {"examples": model_state["examples"] + len(batch), "batches": model_state["batches"] + 1}


START = {"examples": jnp.zeros((), int), "batches": jnp.zeros((), int)}


def test_the_state_is_threaded_through_training_and_not_through_evaluation():
    problem = jaxgd.Problem(init, counting, ROWS, valid=ROWS[:5], model_state=START)
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), 4, remainder="drop"), KEY, 3)
    assert fit.state.model_state == {"examples": 60, "batches": 15}
    measured = jaxgd.evaluate(problem, fit.state.params, "valid", fit.state.model_state)
    np.testing.assert_allclose(measured["loss"], fit.history["valid_loss"][-1], rtol=1e-6)


def centred(params, batch, model_state, training):
    """Distances from the batch's mean in training, from the running mean in evaluation."""
    mean = jnp.where(training, jnp.mean(batch, axis=0), model_state)
    return jnp.sum((batch - (mean + params)[None]) ** 2, axis=1), 0.9 * model_state + 0.1 * mean


def centred_problem(**options):
    return jaxgd.Problem(init, centred, ROWS, valid=ROWS[:5], model_state=jnp.zeros(3), **options)


@pytest.mark.parametrize("remainder", ["keep", "drop"])
def test_coupled_batches_are_never_padded(x64, remainder):
    tr = jaxgd.trainer(centred_problem(coupled=True), jaxgd.sgd(0.1), 4, remainder=remainder)
    fit = jaxgd.fit(tr, KEY, 2)
    params, running = np.zeros(3), np.zeros(3)
    for epoch in range(2):
        order = np.asarray(epoch_order(KEY, epoch, 23, "shuffle"))
        for begin in range(0, 23 if remainder == "keep" else 20, 4):
            batch = ROWS[order[begin : begin + 4]]
            mean = batch.mean(axis=0)
            params = params + 0.1 * 2 * (batch - mean - params).mean(axis=0)
            running = 0.9 * running + 0.1 * mean
    np.testing.assert_allclose(fit.state.params, params, atol=1e-12)
    np.testing.assert_allclose(fit.state.model_state, running, rtol=1e-12)
    assert fit.state.updates == (12 if remainder == "keep" else 10)
    for other in (jax.jit(lambda: jaxgd.fit(tr, KEY, 2))(), jaxgd.train(tr, KEY, 2, progress=False)):
        np.testing.assert_allclose(other.state.params, fit.state.params, atol=1e-15)


def test_coupled_runs_can_be_cut_and_budgeted(x64):
    tr = jaxgd.trainer(centred_problem(coupled=True), jaxgd.sgd(0.1), 4)
    for every in (1, 2, 5):
        *_, (state, _) = jaxgd.iterate(tr, KEY, 3, every)
        np.testing.assert_array_equal(state.model_state, jaxgd.fit(tr, KEY, 3).state.model_state)
    assert jaxgd.fit(jaxgd.budget(tr, updates=6), KEY, 3).state.examples == 23
    assert jaxgd.fit(jaxgd.budget(tr, examples=25), KEY, 3).state.examples == 23


@pytest.mark.parametrize(
    ("batch_size", "microbatch", "what"),
    [(4, 2, "microbatch=2"), (jnp.asarray(4), 2, "a batch_size that is an array or a schedule")],
)
def test_coupled_batches_are_never_split(batch_size, microbatch, what):
    with pytest.raises(
        ValueError, match=f"a coupled problem cannot be trained with {what}: an example's loss"
    ):
        jaxgd.trainer(centred_problem(coupled=True), jaxgd.sgd(0.1), batch_size, microbatch)


def test_a_state_is_that_of_its_lane_in_a_sweep(x64):
    def make(hp):
        return jaxgd.trainer(centred_problem(coupled=True), jaxgd.sgd(hp.rate), 4)

    result = jaxgd.sweep(make, {"rate": [0.1, 0.2], "seed": [0, 1]}, epochs=2, progress=False)
    alone = jaxgd.fit(make(type("HP", (), {"rate": 0.2})), jax.random.key(1), 2)
    np.testing.assert_array_equal(result.model_state(rate=0.2, seed=1), alone.state.model_state)


def test_a_run_that_diverges_takes_its_state_back():
    def exploding(params, batch, model_state):
        bad = model_state >= 8
        return jnp.where(bad, jnp.inf, jnp.sum((batch - params[None]) ** 2, axis=1)), model_state + 1

    problem = jaxgd.Problem(init, exploding, ROWS, model_state=jnp.zeros(()))
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), 4), KEY, 3)
    assert (fit.state.status, fit.state.model_state, fit.state.stopped_at) == (2, 6, 8)


def test_augmentation_is_for_training_only(x64):
    def shift(batch, key):
        return batch + 100 + jax.random.normal(key, batch.shape)

    def distance(params, batch):
        return jnp.sum((batch - params[None]) ** 2, axis=1)

    problem = jaxgd.Problem(init, distance, ROWS, valid=ROWS, augment=shift)
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.3), 4), KEY, 4)
    np.testing.assert_allclose(fit.state.params, 102, atol=2)
    assert fit.history["valid_loss"][-1] > 2e4
    assert fit.history["train_loss"][-1] < 1e2
    again = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.3), 4), KEY, 4)
    np.testing.assert_array_equal(again.state.params, fit.state.params)


@pytest.mark.parametrize("rates", ["schedule", "function"])
def test_a_batch_size_that_grows(x64, rates):
    problem = jaxgd.Problem(init, lambda p, x: jnp.sum((x - p[None]) ** 2, axis=1), ROWS)
    schedule = (
        jaxgd.optim.exponential_decay(2, 1, 2.0) if rates == "schedule" else (lambda epoch: 2 * 2**epoch)
    )
    tr = jaxgd.trainer(problem, jaxgd.sgd(0.1), schedule, microbatch=2)
    fit = jaxgd.fit(tr, KEY, 6)
    np.testing.assert_array_equal(fit.history["updates"], np.cumsum([12, 6, 3, 2, 1, 1]))
    params = np.zeros(3)
    for epoch, size in enumerate([2, 4, 8, 16, 23, 23]):
        order = np.asarray(epoch_order(KEY, epoch, 23, "shuffle"))
        for begin in range(0, 23, size):
            params = params + 0.2 * (ROWS[order[begin : begin + size]] - params).mean(axis=0)
    np.testing.assert_allclose(fit.state.params, params, rtol=1e-12)


def test_growth_rates_are_lanes():
    problem = jaxgd.Problem(init, lambda p, x: jnp.sum((x - p[None]) ** 2, axis=1), ROWS)

    def make(hp):
        schedule = jaxgd.optim.exponential_decay(2, 1, hp.growth)
        return jaxgd.trainer(problem, jaxgd.sgd(0.1), schedule, microbatch=2)

    result = jaxgd.sweep(make, {"growth": [1.0, 2.0]}, epochs=3, progress=False)
    assert len(result.plan.groups) == 1
    assert result.dataset.updates.values.tolist() == [[12, 24, 36], [12, 18, 21]]


def column(params, batch):
    return batch[:, 0] - params[0]


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: jaxgd.Problem(init, column, ROWS, model_state=jnp.zeros(3)), TypeError,
         "loss must have a parameter model_state"),
        (lambda: jaxgd.Problem(init, column, ROWS, augment=3), TypeError, "augment must be a function"),
        (lambda: jaxgd.trainer(jaxgd.Problem(init, column, ROWS), jaxgd.sgd(0.1), lambda e: 4),
         ValueError, "a batch_size that is a schedule needs a static microbatch"),
        (lambda: run(lambda p, b, model_state: b[:, 0]), ValueError,
         r"loss must return \(losses, new_model_state\)"),
        (lambda: run(lambda p, b, model_state: (b[:, 0], model_state[:2])), ValueError,
         r"loss must return a model_state of shapes \(3,\), got \(2,\)"),
    ],
)  # fmt: skip
def test_bad_problems(build, error, message):
    with pytest.raises(error, match=message):
        build()


def run(loss):
    problem = jaxgd.Problem(init, loss, ROWS, model_state=jnp.zeros(3))
    return jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), 4), KEY, 1)
