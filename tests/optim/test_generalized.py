import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd import optim

FAMILY = [
    optim.sgd(0.1),
    optim.momentum(0.1),
    optim.nesterov(0.1, 0.8),
    optim.adagrad(0.1),
    optim.adagrad(0.1, initial_accumulator_value=0.0),
    optim.rmsprop(0.1),
    optim.rmsprop(0.1, centered=True, bias_correction=True),
    optim.rmsprop(0.1, momentum=0.7, nesterov=True, eps_in_sqrt=False),
    optim.rmsprop(0.1, momentum=0.7, initial_scale=0.3, bias_correction=True),
    optim.adadelta(1.0),
    optim.adadelta(1.0, weight_decay=0.1),
    optim.adam(0.1),
    optim.adam(0.1, b1=0.0, eps_root=1e-4),
    optim.adam(0.1, nesterov=True),
    optim.adamw(0.1, weight_decay=0.1),
    optim.nadam(0.1),
    optim.nadamw(0.1, weight_decay=0.1),
]


def gradients():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(12, 5)) * 10.0 ** rng.integers(-6, 4, size=(12, 1))
    draws[:, 0] = 0
    return jnp.asarray(draws)


def trajectory(optimizer):
    def step(carry, gradient):
        x, state = carry
        updates, state = optimizer.update(gradient, state, x)
        x = optax.apply_updates(x, updates)
        return (x, state), x

    start = jnp.ones(5)
    return jax.lax.scan(step, (start, optimizer.init(start)), gradients())[1]


def test_same_trajectories_in_one_program():
    with jax.enable_x64(True):
        general = [optim.generalize(optimizer) for optimizer in FAMILY]
        assert len({jax.tree.structure(optimizer) for optimizer in general}) == 1
        run = jax.jit(trajectory)
        for optimizer, one in zip(FAMILY, general, strict=True):
            np.testing.assert_allclose(
                run(one), trajectory(optimizer), rtol=1e-9, atol=1e-12, err_msg=repr(optimizer)
            )
        assert run._cache_size() == 1


def test_different_optimizers_are_lanes_of_one_vmap():
    with jax.enable_x64(True):
        stacked, in_axes = jaxgd.stack([optim.generalize(optimizer) for optimizer in FAMILY])
        together = jax.jit(jax.vmap(trajectory, (in_axes,)))(stacked)
        for lane, optimizer in zip(together, FAMILY, strict=True):
            np.testing.assert_allclose(lane, trajectory(optimizer), rtol=1e-9, atol=1e-12)


def test_hypergradients_are_finite():
    gradient = jax.grad(lambda optimizer: trajectory(optimizer)[-1].sum())(optim.generalize(optim.adam(0.1)))
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))


def test_learning_rate_is_still_there():
    general = optim.generalize(optim.adam(0.1))
    assert general.learning_rate == 0.1
    assert general.replace(learning_rate=0.2).learning_rate == 0.2


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (optim.lion(0.1), "one of the named optimizers"),
        (jaxgd.chain(optim.sgd(0.1)), "one of the named optimizers"),
        (optim.adamw(0.1, mask={"w": True}), "without mask"),
        (optim.adam(0.1, mu_dtype="bfloat16"), "without mu_dtype"),
        (optim.nadam(0.1, momentum_decay=0.004), "without momentum_decay"),
        (optim.amsgrad(0.1), "neither AMSGrad's maximum nor Adamax's norm"),
        (optim.adamaxw(0.1), "neither AMSGrad's maximum nor Adamax's norm"),
    ],
)
def test_what_cannot_be_generalized(optimizer, message):
    with pytest.raises(TypeError, match=message):
        optim.generalize(optimizer)
