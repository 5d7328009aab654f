"""Optimizers and schedules with equal numbers are equal, hash alike, and are one static argument."""

import copy
import math
import pickle
import warnings
from functools import partial

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState
from hypothesis import given, settings, strategies as st

import jaxgd
from jaxgd import optim
from jaxgd.optim.trees import equality


def exponential(count):
    return 0.1 * 0.5**count


def a_lambda():
    return lambda count: 0.1 / (1 + count)


MASK = {"w": True, "b": False}
EQUAL = {
    "adam": lambda: jaxgd.adam(1e-2),
    "adamw": lambda: jaxgd.adamw(1e-2, mask=dict(MASK)),
    "spelling": lambda: jaxgd.sgd(np.random.default_rng().choice([1, 1])),
    "schedule": lambda: optim.warmup_cosine_decay_schedule(0.0, 0.1, 10, 100),
    "scheduled": lambda: jaxgd.nesterov(optim.linear_schedule(0.1, 0.2, 3)),
    "optax's schedule": lambda: jaxgd.adam(optax.linear_schedule(0.1, 0.2, 3)),
    "function": lambda: jaxgd.adam(exponential),
    "lambda": lambda: jaxgd.adam(a_lambda()),
    "partial": lambda: jaxgd.adam(jax.tree_util.Partial(exponential)),
    "joined": lambda: optim.join_schedules([optim.constant_schedule(0.1), a_lambda()], [5]),
    "chain": lambda: jaxgd.chain(optax.clip(1.0), optim.clip_by_global_norm(1.0), jaxgd.adam(0.1)),
    "partition": lambda: optim.partition({"g": jaxgd.adam(0.1), 3: jaxgd.sgd(0.2)}, {"w": "g", "b": 3}),
    "masked": lambda: optim.masked(jaxgd.adam(0.1), dict(MASK)),
    "foreign": lambda: optim.lion(0.1, b1=0.8),
    "nan": lambda: jax.tree.map(lambda leaf: math.nan, jaxgd.adam(0.1)),
    "generalized": lambda: optim.generalize(jaxgd.adam(0.1)),
}
ARRAY = jnp.array([0.1, 0.2])
UNEQUAL = {
    "number": (jaxgd.adam(1e-2), jaxgd.adam(1e-3)),
    "one ulp": (jaxgd.sgd(0.1), jaxgd.sgd(math.nextafter(0.1, 1))),
    "kind": (jaxgd.momentum(0.1), jaxgd.nesterov(0.1)),
    "kind of schedule": (optim.step_decay(0.1, 3, 0.5), optim.inverse_time_decay(0.1, 3, 0.5)),
    "switch": (jaxgd.adam(0.1), jaxgd.adam(0.1, nesterov=True)),
    "off and zero": (jaxgd.sgd(0.1), jaxgd.sgd(0.1, momentum=0.0)),
    "mask": (jaxgd.adamw(0.1, mask=MASK), jaxgd.adamw(0.1, mask=MASK | {"b": True})),
    "schedule": (jaxgd.sgd(optim.linear_schedule(1, 2, 3)), jaxgd.sgd(optim.linear_schedule(1, 2, 4))),
    "closure": (jaxgd.sgd(optax.linear_schedule(1, 2, 3)), jaxgd.sgd(optax.linear_schedule(1, 2, 4))),
    "nested": (jaxgd.chain(jaxgd.adam(0.1)), jaxgd.adam(0.1)),
    "order": (jaxgd.chain(jaxgd.adam(0.1), jaxgd.sgd(0.1)), jaxgd.chain(jaxgd.sgd(0.1), jaxgd.adam(0.1))),
    "arrays": (jaxgd.sgd(jnp.array([0.1, 0.2])), jaxgd.sgd(jnp.array([0.1, 0.2]))),
    "NumPy arrays": (jaxgd.sgd(np.array([0.1])), jaxgd.sgd(np.array([0.1]))),
    "Optax's": (jaxgd.adam(0.1), optax.adam(0.1)),
    "its pair": (jaxgd.adam(0.1), jaxgd.adam(0.1).as_optax()),
    "number and optimizer": (jaxgd.adam(0.1), 0.1),
}


@pytest.mark.parametrize("build", EQUAL.values(), ids=EQUAL)
def test_equal_if_built_alike(build):
    one, other = build(), build()
    for same in (other, copy.copy(one), copy.deepcopy(one), jax.tree.map(lambda leaf: leaf, one)):
        assert one == same
        assert (one != same) is False
        assert hash(one) == hash(same)


@pytest.mark.parametrize(("one", "other"), UNEQUAL.values(), ids=UNEQUAL)
def test_unequal(one, other):
    assert one != other
    assert (one == other) is False
    assert other != one


def test_an_array_is_equal_to_itself():
    assert jaxgd.sgd(ARRAY) == jaxgd.sgd(ARRAY)
    assert hash(jaxgd.sgd(ARRAY)) == hash(jaxgd.sgd(ARRAY))


def test_a_number_is_equal_on_the_device_too():
    on_host, on_device = jaxgd.sgd(0.5), jax.device_put(jaxgd.sgd(0.5))
    assert on_host == on_device
    assert hash(on_host) == hash(on_device)


def test_pickled_is_equal():
    optimizer = jaxgd.adam(optim.linear_schedule(0.1, 0.2, 3))
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer


def test_tracers_are_equal_to_themselves_alone():
    def compare(one, other):
        assert jaxgd.sgd(one) == jaxgd.sgd(one)
        assert jaxgd.sgd(one) != jaxgd.sgd(other)
        return one

    jax.jit(compare)(0.1, 0.1)


numbers = st.floats(0, 1, exclude_max=True)


@settings(max_examples=100, deadline=None)
@given(st.tuples(numbers, numbers, numbers), st.tuples(numbers, numbers, numbers))
def test_equal_exactly_if_the_numbers_are(ours, theirs):
    def build(rate, b1, momentum):
        return jaxgd.chain(jaxgd.adam(rate, b1), jaxgd.sgd(optim.constant_schedule(rate), momentum))

    one, other = build(*ours), build(*theirs)
    # A decay rate is its complement, in float64.
    same = [float(a) for a in jax.tree.leaves(one)] == [float(b) for b in jax.tree.leaves(other)]
    assert (one == other) == same
    assert build(*ours) == one
    assert hash(build(*ours)) == hash(one)


def counted():
    traces = []

    @partial(jax.jit, static_argnames="optimizer")
    def update(gradient, optimizer):
        traces.append(optimizer)
        return optimizer.update(gradient, optimizer.init(gradient), gradient)[0]

    return update, traces


def test_equal_ones_are_one_static_argument():
    update, traces = counted()
    for _ in range(3):
        update(ARRAY, optimizer=jaxgd.chain(optax.clip(1.0), jaxgd.adam(1e-2)))
    assert len(traces) == 1
    np.testing.assert_allclose(update(ARRAY, optimizer=jaxgd.sgd(0.5)), -0.5 * ARRAY)
    assert len(traces) == 2


def test_equal_ones_in_a_train_state_are_one_trace():
    traces = []

    @jax.jit
    def step(state):
        traces.append(state)
        return state.apply_gradients(grads=state.params)

    state = TrainState.create(apply_fn=exponential, params={"w": ARRAY}, tx=jaxgd.adam(1e-2))
    for _ in range(3):
        state = step(state.replace(tx=jaxgd.adam(1e-2)))
    assert len(traces) == 1
    step(state.replace(tx=jaxgd.adam(2e-2)))
    assert len(traces) == 2


def test_a_train_state_whose_rate_is_a_leaf():
    class Swept(TrainState):
        tx: optax.GradientTransformation = flax.struct.field(pytree_node=True)

    traces = []

    @jax.jit
    def step(state):
        traces.append(state)
        return state.apply_gradients(grads=state.params)

    for rate in (0.1, 0.2, 0.4):
        state = Swept.create(apply_fn=exponential, params={"w": ARRAY}, tx=jaxgd.sgd(rate))
        np.testing.assert_allclose(step(step(state)).params["w"], (1 - rate) ** 2 * ARRAY, rtol=1e-6)
    assert len(traces) == 1


@pytest.fixture
def none_seen(monkeypatch):
    monkeypatch.setattr(equality, "_static_arguments", {})


def test_many_static_arguments_warn_once(none_seen):
    update, _ = counted()
    for rate in range(7):
        update(ARRAY, optimizer=jaxgd.adam(rate))
    with pytest.warns(UserWarning, match=r"8 optimizers adam\(...\).*step = jax.jit\(step\)") as caught:
        update(ARRAY, optimizer=jaxgd.adam(7))
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        update(ARRAY, optimizer=jaxgd.adam(8))


def test_no_warning_for_what_is_no_sweep(none_seen):
    update, traces = counted()
    as_argument = jax.jit(lambda optimizer: optimizer.update(ARRAY, optimizer.init(ARRAY), ARRAY)[0])
    within = jax.jit(lambda rate: update(ARRAY, optimizer=jaxgd.adam(rate)))
    builds = [lambda rate=rate: jaxgd.adam(rate) for rate in range(12)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len({build(): None for build in builds}) == len({build() for build in builds}) == 12
        for build in builds:
            as_argument(build())
            update(ARRAY, optimizer=jaxgd.adam(1e-2))
        for i in range(7):
            update(ARRAY, optimizer=jaxgd.sgd(i))
            update(ARRAY, optimizer=jaxgd.momentum(i))
        within(0.1)
    assert len(traces) == 1 + 14 + 1
