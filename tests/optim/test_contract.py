"""What every optimizer keeps: one table, and the tests that run down it."""

import copy
import itertools
import pickle
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgd import optim
from jaxgd.optim.schedules import exponential_decay


class Case(NamedTuple):
    build: object
    counterpart: object
    arguments: dict


def heavy_ball(nesterov):
    return lambda learning_rate, momentum=0.9: optax.sgd(learning_rate, momentum, nesterov)


def weights_only(params):
    return {"w": True, "b": False}


RATE = {"learning_rate": 0.1}
PLAIN = {
    "sgd": Case(optim.sgd, optax.sgd, RATE),
    "momentum": Case(optim.momentum, heavy_ball(False), RATE),
    "nesterov": Case(optim.nesterov, heavy_ball(True), RATE),
    "adagrad": Case(optim.adagrad, optax.adagrad, RATE),
    "rmsprop": Case(optim.rmsprop, optax.rmsprop, RATE),
    "adadelta": Case(optim.adadelta, optax.adadelta, {"learning_rate": 1.0}),
    "adam": Case(optim.adam, optax.adam, RATE),
    "adamw": Case(optim.adamw, optax.adamw, RATE),
    "nadam": Case(optim.nadam, optax.nadam, RATE),
    "nadamw": Case(optim.nadamw, optax.nadamw, RATE),
    "amsgrad": Case(optim.amsgrad, optax.amsgrad, RATE),
    "adamax": Case(optim.adamax, optax.adamax, RATE),
}
SWITCHES = ("centered", "bias_correction", "eps_in_sqrt", "nesterov")
SCHEDULED = {
    "learning_rate": optax.exponential_decay(0.1, 3, 0.5),
    "weight_decay": optax.linear_schedule(0.1, 0.2, 5),
}
SCHEDULED_RATE = {"learning_rate": SCHEDULED["learning_rate"]}
ADAM = {"learning_rate": 0.1, "b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4}
KEYWORDS = {
    "sgd": [
        {"momentum": 0.8},
        {"momentum": 0.8, "nesterov": True},
        {"momentum": 0.8, "accumulator_dtype": "float64"},
        {"learning_rate": SCHEDULED["learning_rate"], "momentum": 0.8},
    ],
    "momentum": [{"momentum": 0.5}],
    "nesterov": [{"momentum": 0.5}],
    "adagrad": [{"initial_accumulator_value": 0.3, "eps": 1e-3}, {"initial_accumulator_value": 0.0}],
    "rmsprop": [
        {
            "decay": 0.8,
            "eps": 1e-3,
            "initial_scale": 0.3,
            "momentum": momentum,
            **dict(zip(SWITCHES, on, strict=True)),
        }
        for momentum in (None, 0.7)
        for on in itertools.product((False, True), repeat=4)
    ],
    "adadelta": [
        {"rho": 0.8, "eps": 1e-3, "weight_decay": 0.1},
        {"rho": 0.0},
        {"weight_decay": 0.1, "weight_decay_mask": {"w": True, "b": False}},
        {**SCHEDULED, "weight_decay_mask": weights_only},
    ],
    "adam": [ADAM, ADAM | {"nesterov": True}, {"mu_dtype": "float64"}, {"b1": 0.0, "b2": 0.0}],
    "adamw": [
        ADAM | {"weight_decay": 0.2, "nesterov": True},
        {"weight_decay": 0.2, "mask": {"w": True, "b": False}},
        {**SCHEDULED, "mask": weights_only},
    ],
    "nadam": [ADAM, ADAM | {"nesterov": False}],
    "nadamw": [ADAM | {"weight_decay": 0.2}, {"mask": weights_only, "nesterov": False}],
    "amsgrad": [
        ADAM,
        {"mu_dtype": "float64", "bias_correction_mu": False},
        {**SCHEDULED_RATE, "bias_correction_nu": False},
    ],
    "adamax": [{"b1": 0.8, "b2": 0.95, "eps": 1e-3}, SCHEDULED_RATE],
    "adamaxw": [{"b2": 0.95, "weight_decay": 0.2}, {**SCHEDULED, "mask": weights_only}],
}
ADAMAXW = Case(optim.adamaxw, optax.adamaxw, RATE)
EVERY = PLAIN | {
    f"{name} {i}": case._replace(arguments=case.arguments | more)
    for name, case in (PLAIN | {"adamaxw": ADAMAXW}).items()
    for i, more in enumerate(KEYWORDS[name])
}
plain = pytest.mark.parametrize("case", PLAIN.values(), ids=PLAIN)
every = pytest.mark.parametrize("case", EVERY.values(), ids=EVERY)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def some_params(dtype=None):
    rng = np.random.default_rng(0)
    return {"w": jnp.asarray(rng.normal(size=(3, 2)), dtype), "b": jnp.asarray(rng.normal(size=3), dtype)}


def some_gradients(params, steps=12):
    """Tiny, ordinary and huge gradients, some of them 0, and one weight that never has any."""
    rng = np.random.default_rng(1)
    for step in range(steps):
        scale = 10.0 ** [0, -12, 6, -3][step % 4]
        drawn = {
            k: scale * rng.normal(size=p.shape) * (rng.random(p.shape) < 0.8)
            for k, p in sorted(params.items())
        }
        drawn["w"][0, 0] = 0
        yield {k: jnp.asarray(v, params[k].dtype) for k, v in drawn.items()}


def trajectory(transform, params):
    """`(updates, state)` after each of the gradients."""
    state, seen = transform.init(params), []
    promotion = "strict" if isinstance(transform, optim.Transform) else "standard"  # Optax's own promote
    for gradient in some_gradients(params):
        with jax.numpy_dtype_promotion(promotion):
            updates, state = transform.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        seen.append((updates, state))
    return seen


def loss(params):
    return 0.5 * (jnp.sum((params["w"] - 1) ** 2) + 0.3 * jnp.sum((params["b"] + 1) ** 2))


@partial(jax.jit, static_argnums=2)
def descend(optimizer, params, steps=20):
    """Parameters after some updates on a quadratic."""

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, optimizer.init(params)), length=steps)[0][0]


def assert_close(actual, expected, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), actual, expected)


@every
def test_parity_with_optax_in_float64(case, float64):
    params = some_params(jnp.float64)
    ours = trajectory(case.build(**case.arguments), params)
    theirs = trajectory(case.counterpart(**case.arguments), params)
    for (updates, state), (expected, their_state) in zip(ours, theirs, strict=True):
        assert_close(updates, expected, rtol=1e-9, atol=1e-12)
        assert [x.dtype for x in jax.tree.leaves(state)] == [x.dtype for x in jax.tree.leaves(their_state)]
        for leaf, expected_leaf in zip(jax.tree.leaves(state), jax.tree.leaves(their_state), strict=True):
            np.testing.assert_allclose(leaf, expected_leaf, rtol=1e-9, atol=1e-12)


@every
def test_state_is_laid_out_like_optaxs(case):
    params = some_params()
    state, expected = (
        case.build(**case.arguments).init(params),
        case.counterpart(**case.arguments).init(params),
    )
    for field in ("count", "mu", "nu", "nu_max", "trace", "e_x", "e_g", "sum_of_squares"):
        found = optax.tree.get_all_with_path(state, field)
        assert len(found) == len(optax.tree.get_all_with_path(expected, field))
    private = ("WithCount", "WeightDecaySchedule")  # Optax does not export these classes
    if not any(name in str(jax.tree.structure(expected)) for name in private):
        assert jax.tree.structure(state) == jax.tree.structure(expected)


def error(trajectory, reference):
    """Largest distance between the updates, relative to the largest entry of each."""
    distances = jax.tree.map(
        lambda a, b: np.abs(np.asarray(a, np.float64) - b).max() / np.abs(b).max(),
        [updates for updates, _ in trajectory],
        [updates for updates, _ in reference],
    )
    return np.asarray(jax.tree.leaves(distances))


def errors_of_both(case, dtype):
    """The largest errors of our updates and of Optax's, against Optax's in float64."""
    with jax.enable_x64(True):
        params = jax.tree.map(lambda p: p.astype(jnp.float64), some_params(dtype))
        reference = trajectory(case.counterpart(**case.arguments), params)
        reference = jax.tree.map(np.asarray, reference)
    params, builds = some_params(dtype), (case.build, case.counterpart)
    return [error(trajectory(build(**case.arguments), params), reference).max() for build in builds]


@every
def test_no_further_from_float64_than_optax(case):
    ours, theirs = errors_of_both(case, jnp.float32)
    assert ours <= theirs + 1e-6


@plain
def test_no_further_from_float64_than_optax_in_bfloat16(case):
    ours, theirs = errors_of_both(case, jnp.bfloat16)
    assert ours <= theirs + 2**-7  # one unit in the last place


@plain
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.complex64])
def test_dtypes_stay(case, dtype):
    params = some_params(dtype)
    optimizer = case.build(**case.arguments)
    state = optimizer.init(params)
    updates, new_state = optimizer.update(params, state, params)
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(dtype)}
    assert jax.tree.map(jnp.result_type, new_state) == jax.tree.map(jnp.result_type, state)


@pytest.mark.parametrize("name", sorted(PLAIN.keys() - {"adadelta"}))  # Optax's squares the complex number
def test_complex_parameters_as_in_optax(name, float64):
    case = PLAIN[name]
    params = jax.tree.map(lambda p: p.astype(complex) * (1 + 2j), some_params())
    ours, theirs = case.build(**case.arguments), case.counterpart(**case.arguments)
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        expected = theirs.update(params, theirs.init(params), params)[0]
    assert_close(ours.update(params, ours.init(params), params)[0], expected, rtol=1e-9)


@plain
def test_is_an_optax_transform(case):
    optimizer = case.build(**case.arguments)
    assert isinstance(optimizer, optax.GradientTransformationExtraArgs)
    assert type(optimizer.as_optax()) is optax.GradientTransformationExtraArgs
    init, update = optimizer
    assert (init, update) == (optimizer.init, optimizer.update)
    plain_copy = optimizer._replace(init=lambda params: "replaced")
    assert plain_copy.init(None) == "replaced"
    assert type(optimizer._make((init, update))) is optax.GradientTransformationExtraArgs


@plain
def test_tree_round_trip(case):
    optimizer = case.build(**case.arguments)
    leaves, structure = jax.tree.flatten(optimizer)
    assert all(type(leaf) is np.float64 for leaf in leaves)
    assert repr(jax.tree.unflatten(structure, leaves)) == repr(optimizer)
    faster = case.build(**case.arguments | {"learning_rate": 0.7})
    assert jax.tree.structure(faster) == structure
    assert hash(structure) == hash(jax.tree.structure(faster))
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(optimizer)]
    assert ".learning_rate" in paths
    assert (".one_minus_b2" in paths) == hasattr(optimizer, "b2")


@plain
@pytest.mark.parametrize(
    "thing",
    [None, "text", jax.ShapeDtypeStruct((2,), jnp.float32), jax.sharding.PartitionSpec("x"), True, 0],
    ids=lambda thing: type(thing).__name__,
)
def test_anything_may_pass_through_a_tree_map(case, thing):
    optimizer = jax.tree.map(lambda _: thing, case.build(**case.arguments))
    assert optimizer.learning_rate == thing
    assert repr(optimizer)
    assert jax.tree.leaves(optimizer, is_leaf=lambda x: x is None)[0] == thing


@plain
def test_attributes_replace_and_repr(case):
    optimizer = case.build(**case.arguments)
    assert optimizer.learning_rate == case.arguments["learning_rate"]
    slower = optimizer.replace(learning_rate=0.025)
    assert slower.learning_rate == 0.025
    assert optimizer.learning_rate == case.arguments["learning_rate"]
    assert repr(slower).startswith(f"{case.build.__name__}(learning_rate=0.025")
    assert repr(eval(repr(slower), vars(optim))) == repr(slower)
    with pytest.raises(
        TypeError, match="unknown hyperparameter 'learning_rat'; did you mean 'learning_rate'"
    ):
        optimizer.replace(learning_rat=1.0)
    with pytest.raises(AttributeError, match="use replace"):
        optimizer.learning_rate = 1.0
    with pytest.raises(AttributeError, match="learning_rate"):
        _ = optimizer.learningrate


@plain
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies(case, duplicate):
    optimizer = case.build(**case.arguments)
    twin = duplicate(optimizer)
    assert jax.tree.structure(twin) == jax.tree.structure(optimizer)
    assert jax.tree.leaves(twin) == jax.tree.leaves(optimizer)
    params = some_params()
    assert_close(
        twin.update(params, twin.init(params), params),
        optimizer.update(params, optimizer.init(params), params),
    )


@plain
def test_compiles_once_for_every_value_and_spelling(case):
    @jax.jit
    def update(optimizer, params):
        return optimizer.update(params, optimizer.init(params), params)[0]

    params = some_params()
    for one in (1, 1.0, np.float32(1), np.float64(1), jnp.float32(1), jnp.int32(1), 0.5, 0):
        update(case.build(**case.arguments | {"learning_rate": one}), params)
    assert update._cache_size() == 1


@plain
def test_jit_is_eager(case, float64):
    params, optimizer = some_params(), case.build(**case.arguments)
    with jax.disable_jit():
        eager = descend(optimizer, params, 3)
    assert_close(descend(optimizer, params, 3), eager, rtol=1e-12)


@plain
def test_vmap_is_a_loop(case, float64):
    optimizers = [case.build(**case.arguments | {"learning_rate": rate}) for rate in (0.01, 0.1, 0.3)]
    stacked, in_axes = optim.stack(optimizers)
    together = jax.vmap(descend, (in_axes, None))(stacked, some_params())
    for lane, optimizer in enumerate(optimizers):
        alone = descend(optimizer, some_params())
        assert_close(jax.tree.map(lambda x: x[lane], together), alone, rtol=1e-12)  # noqa: B023
    assert "0.01, 0.1" in repr(stacked)


@plain
def test_converges_on_a_quadratic(case):
    optimizer = case.build(**case.arguments)
    if case.build is optim.adadelta:
        optimizer = optimizer.replace(eps=1e-2, weight_decay=0.0)
    assert loss(descend(optimizer, some_params(), 400)) < 1e-3 * loss(some_params())


@plain
def test_trees_with_nothing_in_them(case):
    optimizer = case.build(**case.arguments)
    for params in ({}, {"frozen": None}, optax.MaskedNode()):
        updates, state = optimizer.update(params, optimizer.init(params), params)
        assert jax.tree.structure(updates) == jax.tree.structure(params)
        assert jax.tree.structure(state) == jax.tree.structure(optimizer.init(params))


@plain
def test_a_gradient_of_none_freezes_its_parameter(case):
    params, optimizer = some_params(), case.build(**case.arguments)
    state = optimizer.init(params)
    updates, new_state = optimizer.update({"w": params["w"], "b": None}, state, params)
    assert updates["b"] is None
    assert jax.tree.structure(new_state) == jax.tree.structure(state)
    whole, _ = optimizer.update(params, state, params)
    np.testing.assert_array_equal(updates["w"], whole["w"])


@plain
def test_tracers_are_numbers_too(case):
    def update(rate, params):
        optimizer = case.build(**case.arguments).replace(learning_rate=rate)
        assert "learning_rate=" in repr(optimizer)
        return optimizer.update(params, optimizer.init(params), params)[0]

    params = some_params()
    optimizer = case.build(**case.arguments | {"learning_rate": 0.3})
    expected = optimizer.update(params, optimizer.init(params), params)[0]
    assert_close(jax.jit(update)(0.3, params), expected, rtol=1e-5)
    assert jax.eval_shape(update, 0.3, params)["w"].shape == (3, 2)


@plain
def test_a_scheduled_rate(case, float64):
    optimizer = case.build(**case.arguments | {"learning_rate": exponential_decay(0.1, 3, 0.5)})
    assert repr(optimizer).startswith(f"{case.build.__name__}(learning_rate=exponential_decay(init_value=0.1")
    theirs = case.counterpart(**case.arguments | {"learning_rate": optax.exponential_decay(0.1, 3, 0.5)})
    expected = trajectory(theirs, some_params())
    for (updates, _), (their_updates, _) in zip(trajectory(optimizer, some_params()), expected, strict=True):
        assert_close(updates, their_updates, rtol=1e-6)  # Optax's schedules are float32 even here
