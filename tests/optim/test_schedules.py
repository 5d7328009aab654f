import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgd import optim

COUNTS = jnp.arange(40)
CASES = {
    "constant_schedule": [(0.3,)],
    "exponential_decay": [
        (0.1, 10, 0.5),
        (0.1, 10, 0.5, 3, True, 0.03),
        (0.1, 10, 2.0, 3, False, 0.5),
        (0.1, 10, 0.0),
    ],
    "cosine_decay_schedule": [(0.1, 20), (0.1, 20, 0.1, 2.0)],
    "linear_schedule": [(0.1, 0.2, 5), (0.2, 0.1, 5, 2)],
    "polynomial_schedule": [(0.2, 0.1, 2, 5), (0.1, 0.2, 0.5, 15, 3)],
    "piecewise_constant_schedule": [(0.3,), (0.3, {5: 0.1, 12: 3.0}), (0.3, {12: 3.0, 5: 0.1})],
    "piecewise_interpolate_schedule": [
        ("linear", 0.3),
        ("linear", 0.3, {5: 0.1, 12: 3.0}),
        ("cosine", 0.3, {12: 3.0, 5: 0.1}),
    ],
    "linear_onecycle_schedule": [(30, 0.3), (30, 0.3, 0.2, 0.6, 10.0, 50.0)],
    "cosine_onecycle_schedule": [(30, 0.3), (30, 0.3, 0.2, 10.0, 50.0)],
    "warmup_constant_schedule": [(0.0, 0.1, 5), (0.2, 0.1, 5)],
    "warmup_cosine_decay_schedule": [(0.0, 0.1, 5, 20), (0.0, 0.1, 0, 20, 0.01, 2.0)],
    "warmup_exponential_decay_schedule": [(0.0, 0.1, 5, 10, 0.5), (0.0, 0.1, 5, 10, 0.5, 3, True, 0.03)],
}
EVERY = [(name, arguments) for name, rows in CASES.items() for arguments in rows]
every = pytest.mark.parametrize(("name", "arguments"), EVERY, ids=lambda value: str(value))


@every
def test_as_in_optax(name, arguments):
    schedule, theirs = getattr(optim, name)(*arguments), getattr(optax, name)(*arguments)
    expected = [theirs(count) for count in COUNTS]
    np.testing.assert_allclose(schedule(COUNTS), expected, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(jax.jit(schedule)(7), expected[7], rtol=1e-5, atol=1e-8)


@every
def test_every_number_may_be_traced(name, arguments):
    schedule = getattr(optim, name)(*arguments)
    traced = jax.jit(lambda schedule: schedule(COUNTS))
    np.testing.assert_allclose(traced(schedule), schedule(COUNTS), rtol=1e-5, atol=1e-8)
    numbers = jax.tree.map(lambda x: 1.01 * x, schedule)
    traced(numbers)
    assert traced._cache_size() == 1


@every
def test_built_from_tracers(name, arguments):
    def values(arguments):
        return getattr(optim, name)(*arguments)(COUNTS)

    leaves, structure = jax.tree.flatten(arguments)
    places = [
        i for i, leaf in enumerate(leaves) if isinstance(leaf, int | float) and not isinstance(leaf, bool)
    ]

    def from_numbers(numbers):
        mixed = list(leaves)
        for place, number in zip(places, numbers, strict=True):
            mixed[place] = number
        return values(jax.tree.unflatten(structure, mixed))

    numbers = [float(leaves[place]) for place in places]
    np.testing.assert_allclose(jax.jit(from_numbers)(numbers), values(arguments), rtol=1e-5, atol=1e-8)


@every
def test_copies(name, arguments):
    schedule = getattr(optim, name)(*arguments)
    for twin in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert jax.tree.structure(twin) == jax.tree.structure(schedule)
        np.testing.assert_array_equal(twin(COUNTS), schedule(COUNTS))


def test_inverse_time_decay():
    schedule = optim.inverse_time_decay(0.5, transition_steps=4, decay_rate=3.0)
    np.testing.assert_allclose(schedule(8), 0.5 / (1 + 3.0 * 8 / 4))
    stepped = optim.inverse_time_decay(0.5, 4, 3.0, transition_begin=2, staircase=True)
    np.testing.assert_allclose(
        stepped(jnp.array([0, 5, 6, 9, 10])), 0.5 / (1 + 3.0 * np.array([0, 0, 1, 1, 2]))
    )


def test_step_decay():
    schedule = optim.step_decay(0.5, transition_steps=4, decay_rate=0.1)
    np.testing.assert_allclose(schedule(jnp.array([0, 3, 4, 7, 8])), [0.5, 0.5, 0.05, 0.05, 0.005], rtol=1e-6)


def test_join_schedules():
    parts = [(0.1, 0.2, 5), (0.3, 0.0, 5), (0.7, 0.8, 5)]
    ours = optim.join_schedules([optim.linear_schedule(*part) for part in parts], [5, 12])
    theirs = optax.join_schedules([optax.linear_schedule(*part) for part in parts], [5, 12])
    np.testing.assert_allclose(ours(COUNTS), [theirs(count) for count in COUNTS], rtol=1e-6)
    with pytest.raises(ValueError, match="2 boundaries for 2 schedules"):
        optim.join_schedules(ours.schedules[:2], [5, 12])


def test_sgdr_schedule():
    cycles = [
        {"init_value": 0.0, "peak_value": 0.3, "decay_steps": 10, "warmup_steps": 2},
        {"init_value": 0.1, "peak_value": 0.2, "decay_steps": 20, "warmup_steps": 5, "end_value": 0.01},
    ]
    theirs = optax.sgdr_schedule(cycles)
    np.testing.assert_allclose(
        optim.sgdr_schedule(cycles)(COUNTS), [theirs(count) for count in COUNTS], rtol=1e-5, atol=1e-8
    )


def test_a_sweep_over_warmup_lengths_is_one_program():
    def last_rate(steps):
        schedule = optim.warmup_cosine_decay_schedule(0.0, 0.1, steps, 20)
        optimizer = optim.sgd(schedule)
        state = optimizer.init(1.0)
        for _ in range(3):
            update, state = optimizer.update(jnp.float32(1.0), state)
        return -update

    lengths = jnp.array([2, 4, 8])
    np.testing.assert_allclose(jax.jit(jax.vmap(last_rate))(lengths), 0.1 * 2 / lengths, rtol=1e-6)


def test_differentiable_by_its_numbers():
    gradient = jax.grad(lambda schedule: schedule(5))(optim.exponential_decay(0.1, 10, 0.5))
    np.testing.assert_allclose(gradient.init_value, 0.5**0.5, rtol=1e-6)
    np.testing.assert_allclose(gradient.transition_steps, 0.1 * 0.5**0.5 * np.log(0.5) * -5 / 100, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: optim.constant_schedule(-0.1), "value must be finite and 0 or more, got -0.1"),
        (lambda: optim.exponential_decay(0.1, 0, 0.5), "transition_steps must be finite and above 0, got 0"),
        (lambda: optim.exponential_decay(0.1, 5, -0.5), "decay_rate must be finite and 0 or more"),
        (lambda: optim.exponential_decay(0.1, 5, 0.5, staircase=1), "staircase must be True or False, got 1"),
        (lambda: optim.linear_schedule(None, 0.1, 5), "init_value must be a number"),
        (lambda: optim.cosine_decay_schedule(0.1, float("nan")), "decay_steps must be finite and above 0"),
        (lambda: optim.piecewise_interpolate_schedule("cubic", 0.1), "unknown interpolate_type 'cubic'"),
        (lambda: optim.piecewise_constant_schedule(0.1, {5: -1.0}), "scales must be finite and 0 or more"),
        (lambda: optim.linear_schedule(0.1, 0.2, 5).replace(end_valu=1), "did you mean 'end_value'"),
    ],
)
def test_bad_values(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()
