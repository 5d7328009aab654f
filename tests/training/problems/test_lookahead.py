"""Optimizers of Optax that are no plain transforms, in a trainer: the numbers of Optax's own loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd import optim

INPUTS = np.linspace(-1, 1, 24).reshape(8, 3).astype(np.float32)
TARGETS = INPUTS.sum(axis=1) ** 2
KEY = jax.random.key(0)


def loss(params, batch):
    return (batch[0] @ params["w"] + params["b"] - batch[1]) ** 2 / 2


def error(params, batch):
    return jnp.abs(batch[0] @ params["w"] + params["b"] - batch[1])


PARAMS = {"w": jnp.ones(3), "b": jnp.zeros(())}
PROBLEM = jaxgd.Problem(
    lambda key: PARAMS, loss, (INPUTS, TARGETS), (INPUTS, TARGETS), metrics={"error": error}
)
# A full batch, so that no order of examples is needed.
BATCH = (INPUTS, TARGETS)


def loop(optimizer, updates, params, fast=lambda params: params):
    """Optax's own loop."""
    state = optimizer.init(params)
    for _ in range(updates):
        gradients = jax.grad(lambda p: jnp.mean(loss(p, BATCH)))(fast(params))
        with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
            changes, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, changes)
    return params


def trained(optimizer, updates):
    return jaxgd.fit(jaxgd.trainer(PROBLEM, optimizer, "full"), KEY, updates)


def assert_close(ours, theirs):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), ours, theirs)


OPTIMIZERS = {
    "MultiSteps": lambda sgd: optax.MultiSteps(sgd(0.1), 2),
    "MultiSteps as a pytree": lambda sgd: optim.from_optax(optax.MultiSteps, sgd(0.1), every_k_schedule=2),
    "sam": lambda sgd: optax.contrib.sam(sgd(0.1), optax.chain(optax.contrib.normalize(), sgd(0.05))),
    "sam as a pytree": lambda sgd: optim.from_optax(
        optax.contrib.sam, sgd(0.1), optax.chain(optax.contrib.normalize(), sgd(0.05))
    ),
    "sam in a chain": lambda sgd: jaxgd.chain(optax.clip(0.5), optax.contrib.sam(sgd(0.1), sgd(0.05))),
}


SLOW = {"MultiSteps as a pytree", "sam as a pytree", "sam in a chain"}


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(build, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, build in OPTIMIZERS.items()
    ],
)
def test_as_in_optaxs_loop(build):
    assert_close(trained(build(jaxgd.sgd), 5).state.params, loop(build(optax.sgd), 5, PARAMS))


@pytest.mark.slow
def test_multi_steps_pass_the_loss_on():
    fit = trained(optax.MultiSteps(optax.polyak_sgd(), 1), 2)
    assert_close(fit.state.params, trained(optim.polyak_sgd(), 2).state.params)


def test_lookahead_is_evaluated_at_the_slow_parameters():
    fit = trained(optax.lookahead(jaxgd.sgd(0.1), 3, 0.5), 5)
    optimizer = optax.lookahead(optax.sgd(0.1), 3, 0.5)
    expected = loop(optimizer, 5, optax.LookaheadParams.init_synced(PARAMS), lambda pair: pair.fast)
    assert_close(fit.state.params, expected)
    slow = expected.slow
    np.testing.assert_allclose(fit.history["valid_loss"][-1], np.mean(loss(slow, BATCH)), rtol=1e-5)
    np.testing.assert_allclose(fit.history["valid_error"][-1], np.mean(error(slow, BATCH)), rtol=1e-5)
    # Training loss is that of the fast parameters before the update; these have moved, the slow ones not.
    assert fit.history["train_loss"][1] < fit.history["valid_loss"][1]
    np.testing.assert_allclose(
        jaxgd.evaluate(PROBLEM, fit.state.params.slow)["loss"], fit.history["valid_loss"][-1], rtol=1e-6
    )


@pytest.mark.slow
def test_lookahead_with_keys_and_another_optimizer_afterwards():
    model = jaxgd.mlp([3, 4, 1], dropout=0.5)
    problem = jaxgd.regression(model, (INPUTS, TARGETS))
    trainer = jaxgd.trainer(problem, optax.lookahead(optax.sgd(0.1), 3, 0.5), 4)
    assert isinstance(jaxgd.fit(trainer, KEY, 1).state.params, optax.LookaheadParams)
    same = trainer.replace(batch_size=2)
    assert jax.tree.structure(same.problem) == jax.tree.structure(trainer.problem)
    back = trainer.replace(optimizer=jaxgd.sgd(0.1))
    assert jax.tree.structure(back) == jax.tree.structure(jaxgd.trainer(problem, jaxgd.sgd(0.1), 4))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            optax.chain(optax.clip(1.0), optax.lookahead(optax.sgd(0.1), 3, 0.5)),
            "needs optax.LookaheadParams",
        ),
        (
            optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.1), opaque_mode=True),
            r"needs grad_fn: call update.*jaxgd.trainer gives value and grad only",
        ),
    ],
    ids=["lookahead within", "opaque sam"],
)
def test_what_a_trainer_cannot_give(optimizer, message):
    with pytest.raises(TypeError, match=message):
        trained(optimizer, 1)


def test_no_transform():
    with pytest.raises(TypeError, match="optimizer must be a gradient transformation"):
        jaxgd.trainer(PROBLEM, 0.1, 4)
