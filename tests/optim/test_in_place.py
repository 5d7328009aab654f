"""Updates in place: no copies, no temporaries of the parameters' size."""

import doctest
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgd import optim
from jaxgd.optim import in_place

SIZE = 200_000
ELEMENTWISE = [
    optim.sgd(0.1),
    optim.momentum(0.1),
    optim.nesterov(0.1),
    optim.adagrad(0.1),
    optim.rmsprop(0.1, centered=True, momentum=0.9),
    optim.adadelta(),
    optim.adam(0.1),
    optim.adamw(0.1),
    optim.nadam(0.1),
    optim.nadamw(0.1),
    optim.amsgrad(0.1),
    optim.adamax(0.1),
    optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(0.1)),
]


def compiled_step(optimizer, shapes):
    @partial(jax.jit, donate_argnums=(1, 2))
    def step(optimizer, params, state, gradient):
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.ones, shapes)
    return step.lower(optimizer, params, optimizer.init(params), params).compile()


@pytest.mark.parametrize("optimizer", ELEMENTWISE, ids=repr)
def test_no_temporary_and_no_copy(optimizer):
    compiled = compiled_step(optimizer, {"w": SIZE, "b": SIZE})
    assert compiled.memory_analysis().temp_size_in_bytes < 0.01 * 2 * SIZE * 4
    assert f"f32[{SIZE}]{{0}} copy(" not in compiled.as_text()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (optim.sgd(0.1), optax.sgd(0.1)),
        (optim.momentum(0.1), optax.sgd(0.1, 0.9)),
        (optim.adagrad(0.1), optax.adagrad(0.1)),
        (optim.rmsprop(0.1, centered=True, momentum=0.9), optax.rmsprop(0.1, centered=True, momentum=0.9)),
        (optim.adadelta(), optax.adadelta(1.0)),
        (optim.adadelta(weight_decay=0.1), optax.adadelta(1.0, weight_decay=0.1)),
        (optim.adam(0.1), optax.adam(0.1)),
        (optim.adamw(0.1), optax.adamw(0.1)),
        (optim.nadam(0.1), optax.nadam(0.1)),
        (optim.amsgrad(0.1), optax.amsgrad(0.1)),
        (optim.adamax(0.1), optax.adamax(0.1)),
    ],
    ids=lambda optimizer: optimizer._kind.name if isinstance(optimizer, optim.Transform) else "optax",
)
def test_no_more_memory_traffic_than_optax(ours, theirs):
    def traffic(step, *arguments):
        return jax.jit(step).lower(*arguments).compile().cost_analysis()["bytes accessed"]

    def step(transform, params, state, gradient):
        updates, state = transform.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    params = jnp.ones(SIZE)
    mine = traffic(step, ours, params, ours.init(params), params)
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        assert mine <= 1.01 * traffic(partial(step, theirs), params, theirs.init(params), params)


def test_adadelta_with_weight_decay_needs_one_copy_at_most():
    compiled = compiled_step(optim.adadelta(weight_decay=0.0), SIZE)
    assert compiled.memory_analysis().temp_size_in_bytes <= 1.01 * SIZE * 4


def test_make_update():
    def loss(params, x):
        return 0.5 * jnp.sum((params["w"] - x) ** 2)

    for rate in (0.1, 0.5):
        optimizer = optim.momentum(rate)
        params = {"w": jnp.zeros(3)}
        update = optim.make_update(optimizer, loss)
        params, state, value = update(params, optimizer.init(params), jnp.ones(3))
        np.testing.assert_allclose(params["w"], rate, rtol=1e-6)
        np.testing.assert_allclose(value, 1.5)
        before = params
        update(params, state, jnp.ones(3))
        assert before["w"].is_deleted()


def test_example_in_the_docstring():
    assert doctest.testmod(in_place).failed == 0


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.complex64])
@pytest.mark.parametrize("max_norm", [0.5, 100.0, 0.0])
def test_clip_by_global_norm_as_in_optax(dtype, max_norm):
    gradient = {"w": jnp.array([3.0, -4.0], dtype), "b": jnp.array([[12.0]], dtype)}
    ours, theirs = optim.clip_by_global_norm(max_norm), optax.clip_by_global_norm(max_norm)
    clipped, _ = ours.update(gradient, ours.init(gradient))
    expected, _ = theirs.update(gradient, theirs.init(gradient))
    tolerance = 1e-2 if dtype == jnp.bfloat16 else 1e-6
    for name in gradient:
        assert clipped[name].dtype == dtype
        np.testing.assert_allclose(
            clipped[name].astype(jnp.complex64), expected[name].astype(jnp.complex64), rtol=tolerance
        )


def test_clipping_nothing():
    ours, zero = optim.clip_by_global_norm(0.5), {"w": jnp.zeros(2)}
    np.testing.assert_array_equal(ours.update(zero, ours.init(zero))[0]["w"], 0)
    assert ours.update({}, ours.init({}))[0] == {}
    slope = jax.grad(lambda t: t.update({"w": jnp.array([3.0, 4.0])}, optax.EmptyState())[0]["w"].sum())(ours)
    np.testing.assert_allclose(slope.max_norm, 7 / 5, rtol=1e-6)


def test_soft_threshold_gives_exact_zeros():
    optimizer = optim.chain(optim.sgd(0.1), optim.soft_threshold(0.1 * 0.5))
    target = jnp.array([2.0, 0.3, -0.7])
    params, state = jnp.zeros(3), optimizer.init(jnp.zeros(3))
    for _ in range(300):
        updates, state = optimizer.update(params - target, state, params)
        params = optax.apply_updates(params, updates)
    # the minimum of (p - target)**2 / 2 + abs(p) / 2
    np.testing.assert_allclose(params, [1.5, 0.0, -0.2], rtol=1e-5)
    assert params[1] == 0
    with pytest.raises(ValueError, match="soft_threshold needs the parameters"):
        optimizer.update(params, state)


def test_arrays_that_occur_twice_are_updated_each_by_its_own():
    def loss(params, x):
        return 0.5 * jnp.sum((params["a"] - x) ** 2) + 0.5 * jnp.sum((params["b"] + x) ** 2)

    shared, optimizer = jnp.zeros(3), optim.momentum(0.1)
    update = optim.make_update(optimizer, loss)
    params = {"a": shared, "b": shared}
    params, state, value = update(params, optimizer.init(params), jnp.ones(3))
    np.testing.assert_allclose(params["a"], 0.1, rtol=1e-6)
    np.testing.assert_allclose(params["b"], -0.1, rtol=1e-6)
    np.testing.assert_allclose(value, 3.0)
    # The same array in the parameters and in the state, and in the batch.
    update = optim.make_update(optimizer, lambda p, x: jnp.sum(p * x))
    x = jnp.ones(3)
    state = jax.tree.map(lambda leaf: x if leaf.shape else leaf, optimizer.init(x))
    params, state, value = update(x, state, x)
    np.testing.assert_allclose(params, 1 - 0.1 * 1.9, rtol=1e-6)
    np.testing.assert_array_equal(x, 1)


def test_complex_parameters_descend():
    target = 3 - 1j
    update = optim.make_update(optim.sgd(0.1), lambda p: jnp.abs(p - target) ** 2)
    params = jnp.zeros((), jnp.complex64)
    state = optim.sgd(0.1).init(params)
    for made in range(1, 20):
        params, state, _ = update(params, state)
        np.testing.assert_allclose(params, target * (1 - 0.8**made), rtol=1e-5)
