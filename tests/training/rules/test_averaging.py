"""Averages of weights and of the model state that belongs to them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd

KEY = jax.random.key(0)


class Iterates(jaxgd.Rule):
    """The parameters and the model state after every update."""

    acts_on_updates = True

    def init(self, seen):
        return jnp.zeros((), jnp.int32), jax.tree.map(self.empty, (seen.params, seen.model_state))

    def empty(self, leaf):
        return jnp.zeros((3000, *leaf.shape), leaf.dtype)

    def after_update(self, own, seen):
        count, kept = own
        new = jax.tree.map(lambda x, new: x.at[count].set(new), kept, (seen.params, seen.model_state))
        return count + 1, new


def squared(params, batch):
    return jnp.sum((params.astype(batch.dtype)[None] - batch) ** 2, axis=1)


@pytest.mark.parametrize("decay", [None, 0.999])
def test_the_average_of_weights_in_bfloat16(decay):
    target = np.tile(np.array([1, 2, 3], np.float32), (3000, 1))
    problem = jaxgd.Problem(lambda key: jnp.zeros(3, jnp.bfloat16), squared, target, valid=target[:2])
    trainer = jaxgd.trainer(problem, jaxgd.sgd(0.01), 1, rules=[Iterates()])
    fit = jaxgd.fit(jaxgd.average_weights(trainer, decay), KEY, 1)
    (_, (path, _)), (average, count) = fit.state.rules
    path = np.asarray(path, np.float64)
    weights = np.full(3000, 1 / 3000) if decay is None else 0.001 * 0.999 ** np.arange(2999, -1, -1)
    assert fit.state.params.dtype == jnp.bfloat16
    assert average.dtype == jnp.float32
    assert count == 3000
    np.testing.assert_allclose(average, weights @ path, rtol=1e-5)
    rounded = average.astype(jnp.bfloat16).astype(np.float32)
    np.testing.assert_allclose(
        fit.history["average_valid_loss"], np.sum((rounded - target[0]) ** 2), rtol=1e-2, atol=1e-4
    )


ROWS = np.random.default_rng(0).normal(loc=2.0, size=(23, 3))
START = {"mean": jnp.zeros(3, jnp.bfloat16), "batches": jnp.zeros((), jnp.int32)}


def centred(params, batch, model_state, training):
    """Distances from the batch's mean in training, from the running mean in evaluation."""
    mean = jnp.where(training, jnp.mean(batch, axis=0), model_state["mean"].astype(batch.dtype))
    kept = (0.9 * model_state["mean"]).astype(batch.dtype)
    new = {"mean": kept + 0.1 * mean, "batches": model_state["batches"] + 1}
    return jnp.sum((batch - (mean + params + 1)[None]) ** 2, axis=1), new


def centred_trainer(rate=0.1, **options):
    problem = jaxgd.Problem(
        lambda key: jnp.zeros(3), centred, ROWS, valid=ROWS[:5], model_state=START, coupled=True
    )
    return jaxgd.trainer(problem, jaxgd.sgd(rate), 4, **options)


def test_the_model_state_is_averaged_alongside():
    trainer = jaxgd.average_weights(centred_trainer(rules=[Iterates()]), start=2)
    fit = jaxgd.fit(trainer, KEY, 2)
    (_, (params, states)), (average, count, state) = fit.state.rules
    assert count == 12
    np.testing.assert_allclose(average, np.mean(params[2:12], axis=0), rtol=1e-6)
    np.testing.assert_allclose(
        state["mean"], np.mean(np.asarray(states["mean"][2:12], float), axis=0), rtol=1e-6
    )
    assert state["mean"].dtype == jnp.float32
    assert state["batches"] == 12  # whole numbers are the last
    own = {"mean": state["mean"].astype(jnp.bfloat16), "batches": state["batches"]}
    measured = jaxgd.evaluate(trainer.problem, average, "valid", own)["loss"]
    np.testing.assert_allclose(fit.history["average_valid_loss"][-1], measured, rtol=1e-6)
    # The run itself has its own.
    measured = jaxgd.evaluate(trainer.problem, fit.state.params, "valid", fit.state.model_state)["loss"]
    np.testing.assert_allclose(fit.history["valid_loss"][-1], measured, rtol=1e-6)
    assert abs(fit.history["average_valid_loss"][-1] - measured) > 1e-3


def test_a_run_that_diverges_takes_its_averages_back():
    def exploding(params, batch, model_state):
        losses = jnp.where(model_state >= 8, jnp.inf, squared(params, batch))
        return losses, model_state + 1

    problem = jaxgd.Problem(lambda key: jnp.zeros(3), exploding, ROWS, model_state=jnp.zeros(()))
    fit = jaxgd.fit(jaxgd.average_weights(jaxgd.trainer(problem, jaxgd.sgd(0.1), 4)), KEY, 3)
    assert fit.state.status == 2
    assert fit.state.rules[0][1:] == (6, 3.5)


def test_an_average_that_starts_never_is_the_parameters():
    fit = jaxgd.fit(jaxgd.average_weights(centred_trainer(), start=1e12), KEY, 2)
    average, count, state = fit.state.rules[0]
    assert count == 12
    np.testing.assert_array_equal(average, fit.state.params)
    np.testing.assert_array_equal(state["mean"], fit.state.model_state["mean"])
