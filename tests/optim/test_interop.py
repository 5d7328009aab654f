"""Optimizers of jaxgd in the places where Optax's are used, with the real libraries.

Tolerances are 1e-4: Optax's own bias corrections are off by 1e-5 in float32.
"""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import jaxgd
from jaxgd import optim

pytestmark = pytest.mark.usefixtures("promoting")
INPUTS = jnp.linspace(-1, 1, 12).reshape(6, 2)
TARGETS = INPUTS.sum(axis=1, keepdims=True)


def params():
    return {"w": jnp.array([1.0, -2.0]), "b": jnp.array([3.0])}


def run(transform, steps=4):
    p, state, update = params(), transform.init(params()), jax.jit(transform.update)
    for _ in range(steps):
        updates, state = update(p, state, p)
        p = optax.apply_updates(p, updates)
    return p, state


WRAPPERS = {
    "chain": lambda t: optax.chain(optax.clip(1.0), t),
    "masked": lambda t: optax.masked(t, {"w": True, "b": False}),
    "partition": lambda t: optax.partition({"a": t, "b": optax.sgd(0.1)}, {"w": "a", "b": "b"}),
    "apply_if_finite": lambda t: optax.apply_if_finite(t, 3),
    "MultiSteps": lambda t: optax.MultiSteps(t, 2).gradient_transformation(),
    "conditionally_transform": lambda t: optax.conditionally_transform(t, lambda step: step < 2),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(jaxgd.adam(0.1), optax.adam(0.1)), (jaxgd.momentum(0.1), optax.sgd(0.1, 0.9))],
    ids=["adam", "momentum"],
)
def test_inside_optax(wrap, ours, theirs):
    (p, state), (expected, expected_state) = run(wrap(ours)), run(wrap(theirs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), p, expected)
    assert jax.tree.structure(state) == jax.tree.structure(expected_state)


def test_tree_functions_of_optax():
    optimizer = jaxgd.adamw(0.1, mask={"w": True, "b": False})
    _, state = run(optimizer)
    assert optax.tree.get(state, "mu")["w"].shape == (2,)
    doubled = optax.tree.map_params(optimizer, lambda leaf: 2 * leaf, state)
    np.testing.assert_allclose(optax.tree.get(doubled, "nu")["w"], 2 * optax.tree.get(state, "nu")["w"])


def test_optaxs_checkpoint_goes_on_here():
    p, state = run(optax.adam(0.1))
    ours, _ = jaxgd.adam(0.1).update(p, state, p)
    theirs, _ = optax.adam(0.1).update(p, state, p)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), ours, theirs)


def test_inject_hyperparams():
    optimizer = optax.inject_hyperparams(optim.adam)(learning_rate=0.1)
    (p, state), (expected, _) = run(optimizer), run(optax.adam(0.1))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), p, expected)
    assert state.hyperparams["learning_rate"] == np.float32(0.1)


def test_flax_linen_train_state():
    model = nn.Dense(1)
    variables = model.init(jax.random.key(0), INPUTS)

    @jax.jit
    def step(state):
        return state.apply_gradients(
            grads=jax.grad(lambda p: jnp.mean((state.apply_fn(p, INPUTS) - TARGETS) ** 2))(state.params)
        )

    ends = []
    for tx in (jaxgd.adam(0.1), optax.adam(0.1)):
        state = TrainState.create(apply_fn=model.apply, params=variables, tx=tx)
        for _ in range(5):
            state = step(state)
        ends.append(state.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), *ends)


def test_equinox_loop():
    def fit(optimizer):
        model = eqx.nn.MLP(2, 1, 8, 1, key=jax.random.key(0))
        state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))

        @eqx.filter_jit
        def step(model, state):
            gradient = eqx.filter_grad(lambda m: jnp.mean((jax.vmap(m)(INPUTS) - TARGETS) ** 2))(model)
            updates, state = optimizer.update(gradient, state, eqx.filter(model, eqx.is_inexact_array))
            return eqx.apply_updates(model, updates), state

        for _ in range(5):
            model, state = step(model, state)
        return eqx.filter(model, eqx.is_inexact_array)

    ours, theirs = fit(jaxgd.adamw(0.1)), fit(optax.adamw(0.1))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), ours, theirs)


NNX = {
    "as it is": lambda: jaxgd.adam(0.1),
    "a chain": lambda: jaxgd.chain(optim.clip_by_global_norm(1e9), jaxgd.adam(optim.constant_schedule(0.1))),
    "from the device": lambda: jax.device_put(jaxgd.adam(0.1)).as_optax(),
}


@pytest.mark.parametrize("build", NNX.values(), ids=NNX)
def test_nnx_optimizer(build):
    def fit(optimizer):
        model = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, optimizer, wrt=nnx.Param)

        @nnx.jit
        def step(model, optimizer):
            optimizer.update(model, nnx.grad(lambda m: jnp.mean((m(INPUTS) - TARGETS) ** 2))(model))

        for _ in range(5):
            step(model, optimizer)
        return nnx.state(model, nnx.Param)

    ours, theirs = fit(build()), fit(optax.adam(0.1))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), ours, theirs)


def test_one_trace_as_an_argument_of_filter_jit():
    traces = []

    @eqx.filter_jit
    def first(optimizer, p):
        traces.append(optimizer)
        return optimizer.update(p, optimizer.init(p), p)[0]

    for rate in (0.1, 0.2, 0.4):
        optimizer = jaxgd.chain(optax.clip(1.0), jaxgd.sgd(rate))
        np.testing.assert_allclose(first(optimizer, params())["b"], [-rate], rtol=1e-6)
    assert len(traces) == 1


def test_no_transfer_by_an_optimizer_on_the_device():
    step = jax.jit(lambda optimizer, p: optimizer.update(p, optimizer.init(p), p)[0])
    here, there, p = jaxgd.adam(0.1), jax.device_put(jaxgd.adam(0.1)), params()
    step(there, p)
    with jax.transfer_guard("disallow"):
        step(there, p)
        with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
            step(here, p)
