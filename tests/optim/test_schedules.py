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
    "constant_schedule": [(0.3,), (-0.3,)],
    "exponential_decay": [
        (0.1, 10, 0.5),
        (0.1, 10, 0.5, 3, True, 0.03),
        (0.1, 10, 2.0, 3, False, 0.5),
        (0.1, 10, 0.0),
        (0.1, 0, 0.5, 3, False, 0.5),
        (0.1, -1, 0.5, 3, True),
        (-0.1, 10, 0.5, -3),
    ],
    "cosine_decay_schedule": [(0.1, 20), (0.1, 20, 0.1, 2.0), (-0.1, 20, -0.1)],
    "linear_schedule": [(0.1, 0.2, 5), (0.2, 0.1, 5, 2), (-0.2, 0.1, 5, -2), (0.2, 0.1, 0)],
    "polynomial_schedule": [
        (0.2, 0.1, 2, 5),
        (0.1, 0.2, 0.5, 15, 3),
        (-1e-3, -1e-4, 1, 10),
        (0.1, 0.2, 2, -1),
    ],
    "piecewise_constant_schedule": [(0.3,), (-0.3, {5: 0.1, 12: 3.0}), (0.3, {12: 3.0, 5: 0.1})],
    "piecewise_interpolate_schedule": [
        ("linear", 0.3),
        ("linear", 0.3, {5: 0.1, 12: 3.0}),
        ("cosine", 0.3, {12: 3.0, 5: 0.1}),
    ],
    "linear_onecycle_schedule": [(30, 0.3), (30, 0.3, 0.2, 0.6, 10.0, 50.0)],
    "cosine_onecycle_schedule": [(30, 0.3), (30, 0.3, 0.2, 10.0, 50.0)],
    "warmup_constant_schedule": [(0.0, 0.1, 5), (0.2, 0.1, 5)],
    "warmup_cosine_decay_schedule": [
        (0.0, 0.1, 5, 20),
        (0.0, 0.1, 0, 20, 0.01, 2.0),
        (0.2, 0.0, 5, 20, -3.0, 2.0),
        (0.2, 1.2, 5, 20, -3.0),
    ],
    "warmup_exponential_decay_schedule": [(0.0, 0.1, 5, 10, 0.5), (0.0, 0.1, 5, 10, 0.5, 3, True, 0.03)],
}
EVERY = [(name, arguments) for name, rows in CASES.items() for arguments in rows]
every = pytest.mark.parametrize(("name", "arguments"), EVERY, ids=lambda value: str(value))


@every
def test_as_in_optax(name, arguments):
    schedule, theirs = getattr(optim, name)(*arguments), getattr(optax, name)(*arguments)
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
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


# 135 of them have a float32 reciprocal by which a count divided is not the quotient: 61, 83, 97, 109, ...
LENGTHS = range(1, 1001)
STAIRCASES = {
    "exponential_decay": lambda length: optim.exponential_decay(1.0, length, 0.5, staircase=True),
    "inverse_time_decay": lambda length: optim.inverse_time_decay(1.0, length, 1.0, staircase=True),
    "step_decay": lambda length: optim.step_decay(1.0, length, 0.5),
    "warmup_exponential_decay_schedule": lambda length: optim.warmup_exponential_decay_schedule(
        1.0, 1.0, 0, length, 0.5, staircase=True
    ),
}


def around_the_steps(length):
    """Counts just before, at and after some multiples of a length, and the step at each."""
    near = np.array([step * length + moved for step in (1, 2, 3, 17) for moved in (-1, 0, 1)], np.int32)
    return near, near // length


@pytest.mark.parametrize("name", STAIRCASES)
def test_a_step_falls_at_the_same_update_in_every_program(name):
    schedules = [STAIRCASES[name](length) for length in LENGTHS]
    near, step = map(np.stack, zip(*map(around_the_steps, LENGTHS), strict=True))
    expected = 1 / (1.0 + step) if name == "inverse_time_decay" else 0.5**step
    stacked, in_axes = optim.stack(schedules)
    swept = jax.jit(jax.vmap(lambda schedule, counts: schedule(counts), (in_axes, 0)))(stacked, near)
    np.testing.assert_allclose(swept, expected, rtol=1e-6)
    argument = jax.jit(lambda schedule, counts: schedule(counts))
    each = [argument(schedule, counts) for schedule, counts in zip(schedules, near, strict=True)]
    np.testing.assert_allclose(each, expected, rtol=1e-6)
    for place in range(60, 1000, 90):
        schedule, counts = schedules[place], near[place]
        eager = [schedule(counts), *(schedule(count) for count in counts[:2])]
        np.testing.assert_allclose(np.hstack(eager), [*expected[place], *expected[place, :2]], rtol=1e-6)


def test_a_step_falls_at_the_same_update_where_the_length_is_a_constant():
    lengths = (61, 83, 97, 109)

    @jax.jit
    def at(counts):
        return [optim.step_decay(1.0, length, 0.5)(counts * length) for length in lengths]

    np.testing.assert_array_equal(at(jnp.arange(1, 5)), [[0.5, 0.25, 0.125, 0.0625]] * 4)
    states = jax.vmap(lambda rate, count: rate(count), (None, 0))(
        optim.step_decay(1.0, 61, 0.5), np.arange(60, 63)
    )
    np.testing.assert_array_equal(states, [1, 0.5, 0.5])


@pytest.mark.parametrize(
    "around", [lambda optimizer: optimizer, optim.generalize], ids=["itself", "generalized"]
)
def test_a_scheduled_optimizer_takes_the_step_in_every_program(around):
    optimizer = around(optim.sgd(optim.step_decay(1.0, 61, 0.5)))
    states = [optax.tree.set(optimizer.init(jnp.zeros(1)), count=jnp.int32(count)) for count in (60, 61, 62)]

    def update(state):
        return optimizer.update(jnp.ones(1), state, jnp.zeros(1))[0]

    expected = [[-1.0], [-0.5], [-0.5]]
    np.testing.assert_array_equal([update(state) for state in states], expected)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    np.testing.assert_array_equal(jax.jit(jax.vmap(update))(stacked), expected)


@pytest.mark.usefixtures("promoting")
def test_boundaries_beyond_float32():
    boundary = 2**24 + 1
    schedules = [
        optim.piecewise_constant_schedule(1.0, {boundary: 0.5}),
        optim.piecewise_interpolate_schedule("linear", 1.0, {10: 1.0, boundary: 0.5}),
        optim.join_schedules([optim.constant_schedule(1.0), lambda count: 0.5 + 0.0 * count], [boundary]),
        optim.warmup_exponential_decay_schedule(1.0, 1.0, boundary - 10, 10, 0.5, staircase=True),
        optim.step_decay(1.0, boundary, 0.5),
    ]
    counts = jnp.int32([boundary - 1, boundary, boundary + 1])
    for schedule in schedules:
        expected = [1, 0.5, 0.5] if "interpolate" not in repr(schedule) else schedule(counts)
        np.testing.assert_array_equal(schedule(counts), expected)
        np.testing.assert_array_equal(jax.jit(lambda schedule: schedule(counts))(schedule), expected)
        np.testing.assert_array_equal(jax.jit(schedule)(counts), expected)
    assert "16777217" in repr(schedules[0])


def test_a_full_counter():
    full = jnp.int32(2**31 - 1)
    for name, arguments in EVERY:
        value = getattr(optim, name)(*arguments)(full)
        np.testing.assert_allclose(
            value, getattr(optim, name)(*arguments)(full - 10), rtol=1e-5, err_msg=name
        )
    parts = [optim.constant_schedule(0.3), optim.linear_schedule(0.1, 0.2, 5)]
    np.testing.assert_allclose(optim.join_schedules(parts, [-10])(full), 0.2, rtol=1e-6)


WITHOUT_A_LENGTH = {
    "exponential_decay": lambda n: optim.exponential_decay(0.3, n, 0.5, end_value=0.1),
    "exponential_decay, staircase": lambda n: optim.exponential_decay(0.3, n, 0.5, staircase=True),
    "inverse_time_decay": lambda n: optim.inverse_time_decay(0.3, n, 0.5),
    "step_decay": lambda n: optim.step_decay(0.3, n),
    "linear_schedule": lambda n: optim.linear_schedule(0.3, 0.1, n),
    "polynomial_schedule": lambda n: optim.polynomial_schedule(0.3, 0.1, 0.5, n),
    "cosine_decay_schedule": lambda n: optim.cosine_decay_schedule(0.3, n),
    "warmup_constant_schedule": lambda n: optim.warmup_constant_schedule(0.0, 0.3, n),
    "warmup_cosine_decay_schedule": lambda n: optim.warmup_cosine_decay_schedule(0.0, 0.3, 0, n),
    "warmup_exponential_decay_schedule": lambda n: optim.warmup_exponential_decay_schedule(
        0.0, 0.3, 0, n, 0.5
    ),
}


@pytest.mark.parametrize("name", WITHOUT_A_LENGTH)
@pytest.mark.parametrize("length", [0.0, -2.0])
def test_a_traced_length_of_0_is_a_constant(name, length):
    values, slopes = jax.jit(jax.value_and_grad(lambda n: WITHOUT_A_LENGTH[name](n)(jnp.arange(3)).sum()))(
        length
    )
    np.testing.assert_allclose(values, 3 * 0.3, rtol=1e-6)
    assert np.isfinite(slopes)


def test_values_may_be_negative_wherever_optax_takes_them():
    schedule = optim.polynomial_schedule(init_value=-1e-3, end_value=-1e-4, power=1, transition_steps=100)
    transform = optim.chain(optim.scale_by_adam(), optim.scale_by_schedule(schedule))
    theirs = optax.chain(
        optax.scale_by_adam(), optax.scale_by_schedule(optax.polynomial_schedule(-1e-3, -1e-4, 1, 100))
    )
    gradient = jnp.array([1.0, -2.0])
    ours = transform.update(gradient, transform.init(gradient))[0]
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        expected = theirs.update(gradient, theirs.init(gradient))[0]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    assert optim.sgd(schedule).update(gradient, optim.sgd(schedule).init(gradient))[0][0] > 0


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
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        expected = [theirs(count) for count in COUNTS]
    np.testing.assert_allclose(optim.sgdr_schedule(cycles)(COUNTS), expected, rtol=1e-5, atol=1e-8)


def test_parts_of_a_joined_schedule_are_differentiable_by_their_boundary():
    def value(boundary):
        return optim.join_schedules([lambda c: c, optim.linear_schedule(0.0, 1.0, 10)], [boundary])(7)

    np.testing.assert_allclose(jax.jit(jax.value_and_grad(value))(4.0), (0.3, -0.1), rtol=1e-6)
    np.testing.assert_allclose(value(4.5), 0.25, rtol=1e-6)


def test_a_sweep_over_warmup_lengths_is_one_program():
    def last_rate(steps):
        schedule = optim.warmup_cosine_decay_schedule(0.0, 0.1, steps, 20)
        optimizer = optim.sgd(schedule)
        state = optimizer.init(1.0)
        for _ in range(3):
            update, state = optimizer.update(jnp.float32(1.0), state)
        return -update

    lengths = jnp.array([2, 4, 8])
    np.testing.assert_allclose(jax.jit(jax.vmap(last_rate))(lengths), 0.1 * 2 / np.array(lengths), rtol=1e-6)


def test_differentiable_by_its_numbers():
    gradient = jax.grad(lambda schedule: schedule(5))(optim.exponential_decay(0.1, 10, 0.5))
    np.testing.assert_allclose(gradient.init_value, 0.5**0.5, rtol=1e-6)
    np.testing.assert_allclose(gradient.transition_steps, 0.1 * 0.5**0.5 * np.log(0.5) * -5 / 100, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: optim.constant_schedule(float("inf")), "value must be finite, got inf"),
        (lambda: optim.exponential_decay(0.1, float("nan"), 0.5), "transition_steps must be finite, got nan"),
        (lambda: optim.exponential_decay(0.1, 5, -0.5), "decay_rate must be finite and 0 or more"),
        (lambda: optim.exponential_decay(0.1, 5, 0.5, staircase=1), "staircase must be True or False, got 1"),
        (lambda: optim.linear_schedule(None, 0.1, 5), "init_value must be a number"),
        (lambda: optim.cosine_decay_schedule(0.1, float("nan")), "decay_steps must be finite and above 0"),
        (lambda: optim.cosine_decay_schedule(0.1, 0), "decay_steps must be finite and above 0, got 0"),
        (
            lambda: optim.linear_onecycle_schedule(0, 1.0),
            "transition_steps must be finite and above 0, got 0",
        ),
        (
            lambda: optim.warmup_cosine_decay_schedule(0.2, 1.2, 10, 10),
            "decay_steps must be finite and above warmup_steps=10, got 10",
        ),
        (
            lambda: optim.warmup_cosine_decay_schedule(0.0, 1.0, 10, 100).replace(warmup_steps=100),
            "above warmup_steps=100, got 100",
        ),
        (lambda: optim.piecewise_interpolate_schedule("cubic", 0.1), "unknown interpolate_type 'cubic'"),
        (lambda: optim.piecewise_constant_schedule(0.1, {5: -1.0}), "scales must be finite and 0 or more"),
        (lambda: optim.linear_schedule(0.1, 0.2, 5).replace(end_valu=1), "did you mean 'end_value'"),
    ],
)
def test_bad_values(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()
