import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxgd
from jaxgd import curvature
from jaxgd.landscape.networks.objectives import objective_of
from jaxgd.landscape.networks.spectra import _each, _eigenvalues
from jaxgd.landscape.networks.stacks import Lanes

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 50)
WEIGHTS = RNG.uniform(size=50).astype(np.float32)
KEY = jax.random.key(1)


def classifier():
    return jaxgd.classification(jaxgd.mlp([4, 3, 3], "tanh"), (INPUTS, LABELS))


def weighted():
    """Weights that depend on the parameters; their derivative must not be taken."""

    def loss(params, batch):
        x, w = batch
        return jnp.tanh(x @ params) ** 2, w * (1 + params[0] ** 2)

    return jaxgd.Problem(lambda key: jax.random.normal(key, (4,)), loss, (INPUTS, WEIGHTS))


def with_state():
    """A loss that shifts its inputs by a model state, and whose examples are coupled."""

    def loss(params, batch, model_state):
        outputs = jnp.tanh((batch - model_state["mean"][None]) @ params)
        return (outputs - jnp.mean(outputs)) ** 2, model_state

    init = lambda key: jax.random.normal(key, (4,))  # noqa: E731
    return jaxgd.Problem(init, loss, INPUTS, model_state={"mean": 0.3 * np.ones(4)}, coupled=True)


def quadratic(eigenvalues):
    h = jnp.asarray(eigenvalues)
    loss = lambda params, batch: jnp.sum(h * params**2) / 2 + 0 * batch  # noqa: E731
    return jaxgd.Problem(lambda key: jnp.ones(len(h)), loss, np.zeros(3))


@functools.cache
def dense(make):
    """The Hessian of a problem at `drawn` parameters."""
    problem = make()
    params = drawn(problem)
    objective = objective_of(problem, "train", 4096)
    flat, unravel = ravel_pytree(params)
    return np.asarray(jax.hessian(lambda p: objective.loss(unravel(p)))(flat), float)


def drawn(problem, *lanes):
    """Random parameters; to compile the initialisers of many models would take seconds."""
    shapes = jax.eval_shape(problem.init, KEY)
    rng = np.random.default_rng(4)
    return jax.tree.map(lambda x: rng.normal(size=(*lanes, *x.shape)).astype(np.float32) / 2, shapes)


PROBLEMS = [classifier, weighted, with_state]


@pytest.mark.parametrize(
    ("make", "chunk"),
    [pytest.param(classifier, 4096, marks=pytest.mark.slow), (weighted, 7), (with_state, 7)],
)
def test_ends_of_the_spectrum_are_those_of_the_dense_hessian(make, chunk):
    problem = make()
    params = drawn(problem)
    eigenvalues = np.linalg.eigvalsh(dense(make))
    state = problem.model_state
    found = curvature.extreme_eigenvalues(problem, params, KEY, count=2, chunk=chunk, model_state=state)
    scale = np.abs(eigenvalues).max()
    np.testing.assert_allclose(found.largest, eigenvalues[::-1][:2], atol=2e-5 * scale)
    np.testing.assert_allclose(found.smallest, eigenvalues[:2], atol=2e-5 * scale)


def test_eigenvectors_are_eigenvectors():
    problem = classifier()
    params = drawn(problem)
    matrix = dense(classifier)
    found = curvature.extreme_eigenvectors(problem, params, KEY, count=2)
    assert jax.tree.structure(found.vectors) == jax.tree.structure(params)
    vectors = np.asarray(jax.vmap(lambda v: ravel_pytree(v)[0])(found.vectors))
    np.testing.assert_allclose(vectors @ matrix, np.asarray(found.values)[:, None] * vectors, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert found.values[0] > found.values[1] > found.values[3] > found.values[2]


@pytest.mark.parametrize("make", PROBLEMS)
def test_trace_is_that_of_the_dense_hessian(make):
    problem = make()
    params = drawn(problem)
    matrix = dense(make)
    state = problem.model_state
    estimate = curvature.trace(problem, params, KEY, probes=512, chunk=16, model_state=state)
    assert abs(estimate.value - np.trace(matrix)) < 4 * estimate.standard_error
    # Hutchinson's variance with probes of random signs.
    variance = 2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2))
    np.testing.assert_allclose(estimate.standard_error, np.sqrt(variance / 512), rtol=0.2)


def test_a_diagonal_has_its_trace_without_error():
    h = [-1.0, 0.5, 2.0, 4.0]
    estimate = curvature.trace(quadratic(h), jnp.ones(4), KEY, probes=2)
    np.testing.assert_allclose(estimate, [5.5, 0], atol=1e-6)


def test_moments_of_the_spectrum():
    problem = classifier()
    params = drawn(problem)
    matrix = dense(classifier)
    spectrum = curvature.spectral_density(problem, params, KEY, probes=400, steps=3)
    for power in range(6):
        powered = np.linalg.matrix_power(matrix, power)
        error = np.sqrt(2 * (np.sum(powered**2) - np.sum(np.diag(powered) ** 2)) / 400)
        assert abs(spectrum.moment(power) - np.trace(powered) / len(matrix)) <= 4 * error / len(matrix) + 1e-5


def test_density_integrates_to_the_fraction_of_eigenvalues():
    h = np.r_[np.full(9, 1.0), 5.0]
    spectrum = curvature.spectral_density(quadratic(h), jnp.ones(10), KEY, probes=2)
    grid = np.linspace(-2, 8, 2001)
    density = spectrum.density(grid, 0.1)
    step = grid[1] - grid[0]
    np.testing.assert_allclose([density.sum() * step, density[grid > 3].sum() * step], [1, 0.1], rtol=1e-3)
    with pytest.raises(ValueError, match="width must be above 0, got 0"):
        spectrum.density(grid, 0)


def test_a_hessian_of_zero_gives_zeros():
    problem = jaxgd.Problem(lambda key: jnp.ones(4), lambda p, x: x @ p, INPUTS)
    found = curvature.extreme_eigenvalues(problem, jnp.ones(4), KEY, count=2)
    spectrum = curvature.spectral_density(problem, jnp.ones(4), KEY, probes=2)
    for zero in (*found, *curvature.trace(problem, jnp.ones(4), KEY), spectrum.nodes):
        np.testing.assert_array_equal(zero, 0)
    np.testing.assert_allclose(spectrum.weights.sum(axis=-1), 1, rtol=1e-6)


def test_lanes_are_as_each_alone():
    problem = weighted()
    params = drawn(problem, 2, 3)
    found = curvature.extreme_eigenvalues(problem, params, KEY, steps=4)
    traces = curvature.trace(problem, params, KEY, probes=4)
    one = jax.tree.map(lambda p: p[1, 2], params)
    assert found.largest.shape == (2, 3, 1)
    close = lambda a, b: np.testing.assert_allclose(a[1, 2], b, rtol=1e-4, atol=1e-6)  # noqa: E731
    jax.tree.map(close, found, curvature.extreme_eigenvalues(problem, one, KEY, steps=4))
    jax.tree.map(close, traces, curvature.trace(problem, one, KEY, probes=4))


def test_model_states_are_lanes_too():
    problem, params = with_state(), jnp.ones((2, 4))
    states = {"mean": jnp.stack([jnp.zeros(4), jnp.ones(4)])}
    found = curvature.sharpness(problem, params, KEY, model_state=states)
    alone = [
        curvature.sharpness(problem, jnp.ones(4), KEY, model_state={"mean": jnp.full(4, m)})
        for m in (0.0, 1.0)
    ]
    np.testing.assert_allclose(found, alone, rtol=1e-5)
    assert abs(found[0] - found[1]) > 1e-3
    with pytest.raises(ValueError, match=r"model_state must have the shapes \{'mean': \(2, 4\)\}"):
        curvature.sharpness(problem, params, KEY, model_state={"mean": jnp.zeros(4)})


@pytest.mark.parametrize(
    "look",
    [
        lambda problem: curvature.extreme_eigenvalues(problem, jnp.ones(4), KEY),
        lambda problem: curvature.extreme_eigenvectors(problem, jnp.ones(4), KEY),
        lambda problem: curvature.trace(problem, jnp.ones(4), KEY),
        lambda problem: curvature.spectral_density(problem, jnp.ones(4), KEY),
        lambda problem: jaxgd.landscape.plane(problem, jnp.ones(4), (jnp.ones(4), jnp.arange(4.0))),
        lambda problem: jaxgd.landscape.line(problem, jnp.ones(4), jnp.zeros(4)),
    ],
)
def test_the_model_state_of_the_parameters_is_asked_for(look):
    with pytest.raises(ValueError, match=r"^model_state is missing: .* give model_state=fit\.state"):
        look(with_state())


def test_lanes_are_dealt_out_to_the_devices_they_are_not_tied_to():
    problem, params = weighted(), drawn(weighted(), 5)
    assert Lanes.of(problem, params, "train", 7, None).devices.value == len(jax.devices())
    tied = jax.device_put(params, jax.devices()[-1])
    assert Lanes.of(problem, tied, "train", 7, None).devices.value == 1
    found = [curvature.sharpness(problem, given, KEY, steps=3) for given in (params, tied)]
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_it_is_a_function_that_jit_takes():
    problem = quadratic([1.0, 3.0])
    found = jax.jit(lambda p, key: curvature.sharpness(problem, p, key))(jnp.ones(2), KEY)
    np.testing.assert_allclose(found, 3, rtol=1e-6)


def test_half_precision_parameters_are_looked_at_in_single():
    problem = quadratic([1.0, 3.0, 1001 / 1000])
    found = curvature.extreme_eigenvalues(problem, jnp.ones(3, jnp.bfloat16), KEY, count=3)
    assert found.largest.dtype == jnp.float32
    np.testing.assert_allclose(found.smallest, [1, 1.001, 3], rtol=1e-5)


def test_other_splits_are_looked_at():
    half = (INPUTS[:25], LABELS[:25])
    problem = jaxgd.classification(jaxgd.linear(4, 3), (INPUTS, LABELS), half)
    params = drawn(problem)
    expected = curvature.sharpness(jaxgd.classification(jaxgd.linear(4, 3), half), params, KEY)
    np.testing.assert_allclose(curvature.sharpness(problem, params, KEY, split="valid"), expected, rtol=1e-5)


def program_bytes(num_examples, lanes, chunk):
    data = np.zeros((num_examples, 64), np.float32), np.zeros(num_examples, int)
    problem = jaxgd.classification(jaxgd.mlp([64, 64, 10]), data)
    params = drawn(problem, lanes)
    lanes = Lanes.of(problem, params, "train", chunk, None)
    lowered = _each.lower(_eigenvalues, lanes, KEY, (5, 1))
    return lowered.compile().memory_analysis().temp_size_in_bytes


@pytest.mark.slow
def test_memory_is_bounded_by_the_chunk():
    small = program_bytes(1024, 1, 512)
    assert program_bytes(8192, 4, 512) < 1.2 * small
    assert program_bytes(8192, 1, 8192) > 8 * small


PROBLEM = classifier()
PARAMS = drawn(PROBLEM)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: curvature.sharpness(3, PARAMS, KEY), TypeError, "problem must be a jaxgd.Problem, got int"),
        (lambda: curvature.sharpness(PROBLEM, PARAMS, 0), TypeError, "key must be one PRNG key"),
        (
            lambda: curvature.sharpness(PROBLEM, PARAMS, KEY, steps=28),
            ValueError,
            "steps must be a whole number, from 1 to 27, the number of parameters, got 28",
        ),
        (lambda: curvature.sharpness(PROBLEM, PARAMS, KEY, steps=2.0), TypeError, "steps must be a whole"),
        (
            lambda: curvature.extreme_eigenvalues(PROBLEM, PARAMS, KEY, 4, steps=3),
            ValueError,
            "count must be a whole number, from 1 to 3, got 4",
        ),
        (
            lambda: curvature.trace(PROBLEM, PARAMS, KEY, 1),
            ValueError,
            "probes must be .* 2 or more, got 1",
        ),
        (
            lambda: curvature.spectral_density(PROBLEM, PARAMS, KEY, 0),
            ValueError,
            "probes must be a whole number, 1 or more, got 0",
        ),
        (lambda: curvature.trace(PROBLEM, PARAMS, KEY, chunk=0), ValueError, "chunk must be a whole number"),
        (lambda: curvature.trace(PROBLEM, PARAMS, KEY, split="tes"), ValueError, "did you mean 'test'"),
        (lambda: curvature.trace(PROBLEM, PARAMS, KEY, split="valid"), ValueError, "has no valid data"),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_bad_parameters():
    leaves, structure = jax.tree.flatten(PARAMS)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(PARAMS)[0]]
    nan = jax.tree.unflatten(structure, [leaves[0] * np.nan, *leaves[1:]])
    mixed = jax.tree.unflatten(structure, [leaves[0][None], *leaves[1:]])
    wrong = jax.tree.unflatten(structure, [leaves[0][:1], *leaves[1:]])
    stacked = jax.tree.map(lambda a, b: jnp.stack([a, b]), PARAMS, nan)
    cases = {
        "a NaN or an infinity$": nan,
        r"a NaN or an infinity in lane \(1,\)": stacked,
        r"stacked along the same leading axes in every leaf, got \(1,\)": mixed,
        "must have shape": wrong,
        "must have the structure of the problem's parameters, but lacks": leaves[:1],
    }
    for message, params in cases.items():
        with pytest.raises(ValueError, match=message) as caught:
            curvature.sharpness(PROBLEM, params, KEY)
        assert paths[0] in str(caught.value) or "lacks" in message


@pytest.mark.slow
def test_several_lanes_at_once_are_as_each_alone(monkeypatch):
    """Off a CPU lanes and probes are vmapped, some at a time."""
    problem = weighted()
    params = drawn(problem, 5)
    alone = curvature.sharpness(problem, params, KEY), curvature.trace(problem, params, KEY, 6).value
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    jax.clear_caches()
    found = curvature.sharpness(problem, params, KEY), curvature.trace(problem, params, KEY, 6).value
    jax.clear_caches()
    for a, b in zip(found, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_what_belongs_to_training_is_not_looked_at():
    model = jaxgd.mlp([4, 3, 3], "tanh")
    dropped = jaxgd.classification(jaxgd.mlp([4, 3, 3], "tanh", dropout=0.5), (INPUTS, LABELS))
    plain = jaxgd.classification(model, (INPUTS, LABELS))
    params = drawn(plain)
    expected = np.linalg.eigvalsh(dense(classifier))[-1]
    for problem in (dropped, jaxgd.regularized(plain, l2=3.0)):
        np.testing.assert_allclose(curvature.sharpness(problem, params, KEY), expected, rtol=1e-4)


def test_counts_of_any_spelling():
    params = PROBLEM.init(KEY)
    for number in (np.uint8, jnp.int32):  # one program
        options = {"steps": number(3), "chunk": number(50)}
        found = curvature.extreme_eigenvalues(PROBLEM, params, KEY, number(2), **options)
        assert found.largest.shape == (2,)
