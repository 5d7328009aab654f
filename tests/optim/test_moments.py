"""The recursion against hand calculations, closed forms and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgd import optim


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def steps(optimizer, gradient, x, count):
    """The points after each of `count` updates."""

    def step(carry, _):
        x, state = carry
        updates, state = optimizer.update(gradient(x), state, x)
        x = optax.apply_updates(x, updates)
        return (x, state), x

    return jax.lax.scan(step, (x, optimizer.init(x)), length=count)[1]


def two_curvatures(x):
    return x * jnp.array([1.0, 0.1])


FIVE_UPDATES = {
    "sgd": (optim.sgd(0.1), (0.59049, 0.95099)),
    "momentum": (optim.momentum(0.1), (-0.02916, 0.871634)),
    "nesterov": (optim.nesterov(0.1), (-0.104582, 0.838441)),
    "adam": (optim.adam(0.1), (0.507964, 0.507964)),
    "nadam": (optim.nadam(0.1), (0.452904, 0.452904)),
    "nadam as in PyTorch": (optim.nadam(0.1, momentum_decay=0.004), (0.623663, 0.623663)),
}


@pytest.mark.parametrize(("optimizer", "expected"), FIVE_UPDATES.values(), ids=FIVE_UPDATES)
def test_after_five_updates(optimizer, expected):
    # Adam's two coordinates differ where sqrt(v) is not far above eps: here only in the eighth digit.
    last = steps(optimizer, two_curvatures, jnp.ones(2), 5)[-1]
    np.testing.assert_allclose(last, expected, rtol=2e-3 if "adam" in repr(optimizer) else 1e-5)


@pytest.mark.parametrize("name", ["adam", "nadam", "nadam as in PyTorch"])
def test_after_five_updates_of_the_first_coordinate(name):
    optimizer, (expected, _) = FIVE_UPDATES[name]
    np.testing.assert_allclose(steps(optimizer, two_curvatures, jnp.ones(2), 5)[-1, 0], expected, rtol=1e-5)


RATES = {
    "gradient descent": (optim.sgd(2 / 26), 24 / 26),
    "heavy ball": (optim.momentum(4 / 36, (4 / 6) ** 2), 4 / 6),
    "nesterov": (optim.nesterov(1 / 25, (5 - 1) / (5 + 1)), 0.8),
}


@pytest.mark.parametrize(("optimizer", "rate"), RATES.values(), ids=RATES)
def test_rate_on_a_quadratic(optimizer, rate):
    # curvatures 1 and 25; t * rate**t at worst, hence many updates
    path = steps(optimizer, lambda x: x * jnp.array([1.0, 25.0]), jnp.ones(2), 150)
    np.testing.assert_allclose(np.linalg.norm(path[-1]) ** (1 / 150), rate, rtol=0.04)


STABLE = {
    "gradient descent": (lambda rate: optim.sgd(rate), 2 / 25),
    "heavy ball": (lambda rate: optim.momentum(rate, 0.9), 2 * 1.9 / 25),
    "nesterov": (lambda rate: optim.nesterov(rate, 0.9), 2 * 1.9 / (25 * 2.8)),
}


@pytest.mark.parametrize(("build", "limit"), STABLE.values(), ids=STABLE)
def test_limit_of_stability(build, limit):
    def end(rate):
        return abs(float(steps(build(rate), lambda x: 25 * x, jnp.array(1.0), 3000)[-1]))

    assert end(0.99 * limit) < 1e-3
    assert end(1.01 * limit) > 1e3


def test_rate_of_one_over_t_is_the_running_mean():
    values = np.random.default_rng(0).normal(size=50)
    optimizer = optim.sgd(optim.inverse_time_decay(1.0, 1, 1.0))
    weight, state = jnp.array(3.0), optimizer.init(jnp.array(3.0))
    for count, value in enumerate(values, start=1):
        updates, state = optimizer.update(weight - value, state)
        weight = weight + updates
        np.testing.assert_allclose(weight, values[:count].mean(), rtol=1e-9, atol=1e-12)


def test_adam_with_a_huge_eps_is_bias_corrected_momentum():
    adam = steps(optim.adam(0.1 * 1e6, eps=1e6), two_curvatures, jnp.ones(2), 20)

    def corrected(x, m, t):
        m = 0.9 * m + 0.1 * np.array([1.0, 0.1]) * x
        return x - 0.1 * m / (1 - 0.9**t), m

    x, m = np.ones(2), np.zeros(2)
    for t, point in enumerate(adam, start=1):
        x, m = corrected(x, m, t)
        np.testing.assert_allclose(point, x, rtol=1e-5, atol=2e-6)


def test_scale_by_moments_is_adam_without_its_corrections():
    bare = optim.scale_by_moments(m_decay=0.9, m_in=0.1, v_decay=0.99, v_in=0.01, eps_out=1e-3)
    gradient = jnp.array([1.0, -2.0])
    updates, state = bare.update(gradient, bare.init(gradient))
    np.testing.assert_allclose(updates, 0.1 * gradient / (0.1 * abs(gradient) + 1e-3))
    np.testing.assert_allclose(state.nu, 0.01 * gradient**2)
    assert state.count == 1
    with pytest.raises(ValueError, match="m_decay is given without m_in"):
        optim.scale_by_moments(m_decay=0.9)


def test_weight_decay_needs_the_parameters():
    optimizer = optim.adamw(0.1)
    with pytest.raises(ValueError, match="weight decay needs the parameters"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))


@pytest.mark.parametrize("b2", [0.999, 0.9999, 0.99999])
def test_a_traced_decay_rate_loses_no_digits(b2):
    gradients = np.random.default_rng(0).normal(size=(200, 4))

    def run(optimizer, gradients):
        def step(carry, gradient):
            x, state = carry
            updates, state = optimizer.update(gradient, state)
            return (x + updates, state), updates

        start = jnp.zeros_like(gradients[0])
        return jax.lax.scan(step, (start, optimizer.init(start)), gradients)[1]

    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        exact = run(optax.adam(0.01, b2=b2), jnp.asarray(gradients))
    with jax.enable_x64(False):
        single = jax.jit(run)(optim.adam(0.01, b2=b2), jnp.asarray(gradients, jnp.float32))
    np.testing.assert_allclose(single, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())


@pytest.fixture
def float32():
    with jax.enable_x64(False):
        yield


# Moments of 0, a full counter and hence no correction: 0.1 * 0.05 / sqrt(0.00025), as by Optax 0.2.8.
AT_A_FULL_COUNTER = {
    "adam": -0.316228,
    "adamw": -0.316238,
    "nadam": -0.600833,
    "nadamw": -0.600843,
    "amsgrad": -0.316228,
    "adamax": -0.01,
    "rmsprop": -0.1 / 0.1**0.5,
}


@pytest.mark.parametrize(
    ("name", "generalized"),
    [
        *((name, False) for name in AT_A_FULL_COUNTER),
        *((name, True) for name in ("adam", "nadamw", "rmsprop")),
    ],
)
def test_a_full_counter_corrects_nothing(name, generalized, float32):
    extra = {"bias_correction": True} if name == "rmsprop" else {}
    optimizer = getattr(optim, name)(0.1, **extra)
    optimizer = optim.generalize(optimizer) if generalized else optimizer
    params = jnp.ones(1)
    full = optax.tree.set(optimizer.init(params), count=jnp.int32(2**31 - 1))
    updates, state = optimizer.update(jnp.full(1, 0.5), full, params)
    np.testing.assert_allclose(updates, [AT_A_FULL_COUNTER[name]], rtol=1e-5)
    assert optax.tree.get(state, "count") == 2**31 - 1


def test_a_full_counter_in_dozats_schedule(float32):
    optimizer, params = optim.nadam(0.1, momentum_decay=0.004), jnp.ones(1)
    at = [
        optimizer.update(params, optax.tree.set(optimizer.init(params), count=jnp.int32(count)), params)[0]
        for count in (2**31 - 1, 2**30)
    ]
    np.testing.assert_allclose(*at, rtol=1e-6)


@pytest.mark.parametrize(
    "around", [lambda optimizer: optimizer, optim.generalize], ids=["itself", "generalized"]
)
@pytest.mark.parametrize("eps_in_sqrt", [True, False])
def test_a_variance_is_not_negative(around, eps_in_sqrt, float32):
    # At the first update the corrected second moment is the gradient squared, and so is the mean's square.
    optimizer = around(optim.rmsprop(1e-3, centered=True, bias_correction=True, eps_in_sqrt=eps_in_sqrt))
    gradients = jnp.asarray(np.random.default_rng(0).normal(size=1000) * 10.0 ** np.linspace(-3, 4, 1000))
    update = jax.jit(optimizer.update)
    params, state = jnp.zeros(1000), optimizer.init(jnp.zeros(1000))
    for _ in range(4):
        updates, state = update(gradients, state, params)
        assert np.isfinite(updates).all()
        assert (updates * gradients < 0).all()


NORMALISED = [
    "adagrad",
    "rmsprop",
    "adadelta",
    "adam",
    "adamw",
    "nadam",
    "nadamw",
    "amsgrad",
    "adamax",
    "adamaxw",
]
HALF = {
    **{name: getattr(optim, name)(0.1) for name in NORMALISED},
    "rmsprop, eps outside": optim.rmsprop(0.1, eps_in_sqrt=False),
    "rmsprop, centered": optim.rmsprop(0.1, centered=True, bias_correction=True),
    "generalized adam": optim.generalize(optim.adam(0.1)),
}


@pytest.mark.parametrize("optimizer", HALF.values(), ids=HALF)
def test_float16_without_a_gradient_stands_still(optimizer, float32):
    params = jnp.array([0.0, 1.0, 2.0], jnp.float16)
    gradient = jnp.array([0.0, 1e-4, 1.0], jnp.float16)  # the square of the second is 0 in float16
    updates, state = optimizer.update(gradient, optimizer.init(params), params)
    assert updates.dtype == jnp.float16
    assert updates[0] == 0
    assert (updates[1:] < 0).all()
    assert np.isfinite(updates).all()
    updates, _ = optimizer.update(0 * gradient, state, params)
    assert np.isfinite(updates).all()


def constant_features(weights):
    """Least squares on data whose third feature is always 0."""
    inputs = jnp.array([[1.0, 2.0, 0.0], [0.5, -1.0, 0.0], [2.0, 0.3, 0.0]])
    return 0.5 * jnp.mean((inputs @ weights - jnp.array([1.0, -1.0, 0.5])) ** 2)


HYPERGRADIENTS = {
    "sgd": (optim.sgd(0.1), {"learning_rate": 1}),
    "momentum": (optim.momentum(0.1), {"learning_rate": 1, "momentum": 1}),
    "nesterov": (optim.nesterov(0.1), {"learning_rate": 1, "momentum": 1}),
    "adagrad": (optim.adagrad(0.1), {"learning_rate": 1, "initial_accumulator_value": 1}),
    "rmsprop": (optim.rmsprop(0.1, centered=True), {"learning_rate": 1, "decay": -1}),
    "adadelta": (optim.adadelta(1.0, weight_decay=0.0), {"learning_rate": 1, "rho": -1, "weight_decay": 1}),
    "adam": (optim.adam(0.1), {"learning_rate": 1, "b1": -1, "b2": -1}),
    "adamw": (optim.adamw(0.1), {"learning_rate": 1, "b1": -1, "b2": -1, "weight_decay": 1}),
    "nadam": (optim.nadam(0.1), {"learning_rate": 1, "b1": -1, "b2": -1}),
}


@pytest.mark.parametrize(("optimizer", "numbers"), HYPERGRADIENTS.values(), ids=HYPERGRADIENTS)
def test_hypergradients(optimizer, numbers):
    @jax.jit
    def end(optimizer):
        return constant_features(steps(optimizer, jax.grad(constant_features), jnp.zeros(3), 8)[-1])

    gradient = jax.jit(jax.grad(end))(optimizer)
    assert type(gradient) is type(optimizer)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(gradient))
    for name, sign in numbers.items():  # the leaf of a decay rate is its complement: minus the derivative
        value, h = getattr(optimizer, name), 1e-6
        up, down = (end(optimizer.replace(**{name: value + d})) for d in (h, -h if value > h else 0.0))
        slope = (up - down) / (h + (h if value > h else 0.0))
        leaf = getattr(gradient._values, name if sign == 1 else f"one_minus_{name}")
        np.testing.assert_allclose(sign * leaf, slope, rtol=2e-5, atol=1e-9)
