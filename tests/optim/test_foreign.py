"""Optax's factories as pytrees of their arguments."""

import copy
import functools
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import jaxgd
from jaxgd import optim

RATE = {"learning_rate": 0.01}
ALIASES = """adabelief adadelta adafactor adagrad adam adamax adamaxw adamw adan amsgrad fromage lamb lars
lbfgs lion nadam nadamw novograd optimistic_adam optimistic_adam_v2 radam rmsprop rprop sgd sign_sgd signum
sm3 yogi noisy_sgd optimistic_gradient_descent polyak_sgd"""
CONTRIB = """acprop ademamix simplified_ademamix adopt cocob dadapt_adamw dog dowg galore madgrad momo
momo_adam muon prodigy schedule_free_adamw schedule_free_sgd sophia"""
ARGUMENTS = {
    "noisy_sgd": {"learning_rate": 0.01, "key": 0},
    "optimistic_gradient_descent": {"learning_rate": 0.01, "alpha": 0.7, "beta": 0.1},
    "polyak_sgd": {"max_learning_rate": 0.01},
}
FACTORIES = {
    **{name: getattr(optax, name) for name in ALIASES.split()},
    **{name: getattr(contrib, name) for name in CONTRIB.split()},
}
AROUND_ANOTHER = {
    "mechanize": {"base_optimizer": optim.sgd(0.01)},
    "reduce_on_plateau": {},
    "sam": {"optimizer": optim.sgd(0.01), "adv_optimizer": optim.sgd(0.05)},
    "schedule_free": {"base_optimizer": optim.sgd(0.01), "learning_rate": 0.01},
}
QUICK = ("lion", "amsgrad")  # the whole table compiles for minutes
every = pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FACTORIES]
)


# Optax says so of optimistic_adam and of dpsgd's seed.
deprecated = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


def loss(p):
    return jnp.sum(p["w"] ** 2) + jnp.sum(p["b"] ** 2)


def one_step(name, transform, params, state):
    """Parameters and state after an update, with the extra arguments that some optimizers ask for."""
    value, gradient = jax.value_and_grad(loss)(params)
    extra = {"value": value, "grad": gradient, "value_fn": loss} if name in ("polyak_sgd", "lbfgs") else {}
    extra |= {"value": value} if "momo" in name or name == "reduce_on_plateau" else {}
    extra |= {"obj_fn": loss} if name == "sophia" else {}
    updates, state = transform.update(gradient, state, params, **extra)
    return optax.apply_updates(params, updates), state


def three_steps(name, transform, params, in_axes=None):
    """Parameters after three calls of one program, of which the transform is an argument, or two as lanes."""
    init, step = lambda transform, params: transform.init(params), functools.partial(one_step, name)
    if in_axes is not None:
        params = jax.tree.map(lambda x: jnp.stack([x, x]), params)
        init, step = jax.vmap(init, (in_axes, 0)), jax.vmap(step, (in_axes, 0, 0))
    state, step = jax.jit(init)(transform, params), jax.jit(step)
    for _ in range(3):
        params, state = step(transform, params, state)
    return params


@jax.tree_util.register_static
class Whole:
    """A transform of Optax's, whose functions are no data."""

    def __init__(self, transform):
        self.init, self.update = transform.init, transform.update


def some_params(dtype):
    return {"w": jnp.array([[1.0, -2.0], [0.5, 3.0]], dtype), "b": jnp.array([3.0, 0.1], dtype)}


def assert_as_before(params, dtype):
    """Numbers of the parameters' own dtype."""
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype)}
    assert all(np.isfinite(np.asarray(leaf, np.float32)).all() for leaf in jax.tree.leaves(params))


@deprecated
@every
def test_every_alias_takes_three_steps_in_half_precision(name):
    transform = optim.from_optax(FACTORIES[name], **ARGUMENTS.get(name, RATE))
    assert_as_before(three_steps(name, transform, some_params(jnp.bfloat16)), jnp.bfloat16)


@deprecated
@every
def test_every_alias_vmaps_over_its_rate(name):
    arguments = ARGUMENTS.get(name, RATE)
    rate = next(iter(arguments))
    lanes = [optim.from_optax(FACTORIES[name], **arguments | {rate: value}) for value in (0.01, 0.02)]
    stacked, in_axes = jaxgd.stack(lanes)
    params = some_params(jnp.float32)
    together = three_steps(name, stacked, params, in_axes)
    assert_as_before(together, jnp.float32)
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        alone = three_steps(name, Whole(FACTORIES[name](**arguments | {rate: 0.02})), params)
    np.testing.assert_allclose(together["w"][1], alone["w"], rtol=1e-3, atol=1e-4)


def test_the_table_is_complete():
    module = optax._src.alias
    made = [name for name, item in vars(module).items() if getattr(item, "__module__", "") == module.__name__]
    aliases = {name for name in made if inspect.isfunction(getattr(module, name)) and name[0] != "_"}
    assert aliases | {"nadam", "nadamw"} == set(ALIASES.split())  # those two are partials of adam and adamw
    assert len(ALIASES.split()) == 31


NEEDS = {
    "lbfgs": (lambda: optim.from_optax(optax.lbfgs), "lbfgs needs value, grad, value_fn: call update"),
    "polyak_sgd": (lambda: optim.from_optax(optax.polyak_sgd), "polyak_sgd needs value: call update"),
    "sophia": (lambda: optim.from_optax(contrib.sophia, 0.1), "sophia needs obj_fn: call update"),
    "chain": (lambda: optim.chain(optax.lbfgs()), "chain needs value, grad, value_fn: call update"),
}


@pytest.mark.parametrize(("build", "message"), NEEDS.values(), ids=NEEDS)
def test_what_an_optimizer_needs_besides_gradients(build, message):
    transform, params = build(), some_params(jnp.float32)
    with pytest.raises(TypeError, match=message):
        transform.update(params, transform.init(params), params)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", AROUND_ANOTHER)
def test_transforms_around_another(name, dtype):
    transform = optim.from_optax(getattr(contrib, name), **AROUND_ANOTHER[name])
    assert_as_before(three_steps(name, transform, some_params(dtype)), dtype)


@deprecated
def test_private_gradients_of_each_example():
    transform = optim.from_optax(contrib.dpsgd, 0.1, l2_norm_clip=1.0, noise_multiplier=0.0, seed=0)
    params = jnp.zeros(2)
    updates, _ = transform.update(jnp.array([[3.0, 4.0], [0.0, 0.0]]), transform.init(params), params)
    np.testing.assert_allclose(updates, [-0.03, -0.04], rtol=1e-5)  # clipped to norm 1, then the mean of two


def test_attributes_replace_repr_and_leaves():
    lion = optim.lion(1e-3, b1=0.95)
    assert repr(lion) == "lion(learning_rate=0.001, b1=0.95)"
    assert (lion.learning_rate, lion.b1) == (1e-3, 0.95)
    assert repr(lion.replace(b1=0.5, b2=0.9)) == "lion(learning_rate=0.001, b1=0.5, b2=0.9)"
    assert jax.tree.leaves(lion) == [0.95, 1e-3]
    assert jax.tree.structure(lion) == jax.tree.structure(optim.from_optax(optax.lion, 1e-3, b1=0.9))


def test_what_is_static():
    transform = optim.from_optax(optax.adafactor, 1e-3, min_dim_size_to_factor=64, momentum=0.9)
    assert set(jax.tree.leaves(transform)) == {1e-3, 0.9}
    schedule = optim.exponential_decay(0.1, 10, 0.5)
    assert len(jax.tree.leaves(optim.lion(schedule))) == len(jax.tree.leaves(schedule))
    foreign = optim.lion(optax.exponential_decay(0.1, 10, 0.5))
    assert jax.tree.leaves(foreign) == []
    assert jax.tree.structure(foreign) == jax.tree.structure(
        optim.lion(optax.exponential_decay(0.1, 10, 0.5))
    )


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies(duplicate):
    twin = duplicate(optim.lion(1e-3))
    assert jax.tree.structure(twin) == jax.tree.structure(optim.lion(1e-3))
    assert twin.learning_rate == 1e-3


TAKEN = {
    "trace": {"decay": 1.0},
    "ema": {"decay": 1.0, "debias": False},
    "scale": {"step_size": -1.0},
    "scale_by_learning_rate": {"learning_rate": -0.1},
    "scale_by_adam": {"b1": 0.0, "b2": 1.0},
    "add_decayed_weights": {"weight_decay": -0.1},
}


@pytest.mark.parametrize("name", TAKEN)
def test_building_blocks_take_what_optax_takes(name):
    ours, theirs = getattr(optim, name)(**TAKEN[name]), getattr(optax, name)(**TAKEN[name])
    params = some_params(jnp.float32)
    found = ours.update(params, ours.init(params), params)[0]
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        expected = theirs.update(params, theirs.init(params), params)[0]
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert repr(ours.replace(**TAKEN[name])) == repr(ours)


def test_ascent():
    uphill = jaxgd.chain(jaxgd.adam(0.1), optim.scale(-1.0))
    params = some_params(jnp.float32)
    assert all(
        (u > 0).all()
        for u in jax.tree.leaves(uphill.update(jax.tree.map(jnp.abs, params), uphill.init(params)))
    )


HALF = ["adabelief", "adan", "novograd", "optimistic_adam_v2", "lion", "scale_by_adam", "scale_by_rms"]


@pytest.mark.parametrize("name", HALF)
def test_float16_without_a_gradient_stands_still(name):
    transform = getattr(optim, name)(**({} if "scale" in name else RATE))
    params = jnp.zeros(2, jnp.float16)
    updates, state = transform.update(params, transform.init(params), params)
    assert updates.dtype == jnp.float16
    np.testing.assert_array_equal(updates, 0)
    assert not [leaf for leaf in jax.tree.leaves(state) if leaf.dtype == jnp.float32]


def test_a_transform_may_be_an_argument():
    transform = optim.from_optax(optax.lookahead, optim.sgd(0.1), sync_period=5, slow_step_size=0.5)
    assert sorted(jax.tree.leaves(transform)) == [0.1, 0.5, 5.0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: optim.lion(-1.0),
            "learning_rate must be finite and 0 or more, got -1.0; for ascent use chain",
        ),
        (lambda: optim.from_optax(contrib.muon, -1.0), "learning_rate must be finite and 0 or more"),
        (lambda: optim.trace(float("nan")), "decay must be finite, got nan"),
        (lambda: optim.scale_by_learning_rate(float("inf")), "learning_rate must be finite, got inf"),
        (lambda: optim.lion(0.1, b1=1.5), "b1 must be finite and at least 0 and below 1, got 1.5"),
        (lambda: optim.lion(0.1, b3=0.5), "lion: got an unexpected keyword argument 'b3'"),
        (lambda: optim.lion(lr=0.1), "lion: got an .* 'lr'; did you mean 'learning_rate'"),
        (lambda: optim.lion(), "lion: missing a required argument: 'learning_rate'"),
        (lambda: optim.lion(0.1).replace(b3=0.5), "b3"),
        (lambda: optim.lion(0.1).b3, "b3"),
        (lambda: optim.from_optax(3), "from_optax needs a function"),
        (lambda: optim.from_optax(optax.chain, optax.clip(1.0)), "combine transforms with jaxgd.chain"),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises((ValueError, TypeError, AttributeError), match=message):
        build()
