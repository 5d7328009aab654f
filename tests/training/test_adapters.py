"""Models of Flax Linen, Flax NNX and Equinox, made of the real libraries."""

import subprocess
import sys

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxgd
from jaxgd.optim.static import check_unchanged

INPUTS = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
DATA = (INPUTS, (INPUTS[:, 0] > 0).astype(int))


class LinenNet(nn.Module):
    rate: float = 0.5

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dropout(self.rate, deterministic=not train)(nn.relu(nn.Dense(64)(x)))
        return nn.Dense(2)(x)


class LinenBatchNorm(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.BatchNorm(use_running_average=not train)(x)


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(4, 64, rngs=rngs), nnx.Linear(64, 2, rngs=rngs)])
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.layers[1](self.dropout(nnx.relu(self.layers[0](x))))


class EquinoxNet(eqx.Module):
    first: eqx.nn.Linear
    last: eqx.nn.Linear
    dropout: eqx.nn.Dropout
    order: jax.Array

    def __init__(self, key):
        keys = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(4, 64, key=keys[0]), eqx.nn.Linear(64, 2, key=keys[1])
        self.dropout, self.order = eqx.nn.Dropout(0.5), jnp.array([3, 2, 1, 0])

    def __call__(self, x, key=None):
        return self.last(self.dropout(jax.nn.relu(self.first(x[self.order])), key=key))


def by_linen(params):
    return LinenNet().apply({"params": params}, INPUTS, train=False)


def by_nnx(params):
    module = NnxNet(nnx.Rngs(7))
    nnx.update(module, params)
    module.eval()
    return module(INPUTS)


def by_equinox(params):
    module = eqx.nn.inference_mode(eqx.combine(params, EquinoxNet(jax.random.key(7))))
    return jax.vmap(module)(INPUTS)


BUILDERS = {
    "linen": (lambda: jaxgd.from_linen(LinenNet(), INPUTS[:1]), by_linen),
    "nnx": (lambda: jaxgd.from_nnx(NnxNet), by_nnx),
    "equinox": (lambda: jaxgd.from_equinox(EquinoxNet), by_equinox),
}
PLAIN = {
    "linen": lambda: jaxgd.from_linen(nn.Dense(2), INPUTS),
    "nnx": lambda: jaxgd.from_nnx(lambda rngs: nnx.Linear(4, 2, rngs=rngs)),
    "equinox": lambda: jaxgd.from_equinox(lambda key: eqx.nn.MLP(4, 2, 8, 1, key=key)),
}


@pytest.mark.slow
@pytest.mark.parametrize("library", BUILDERS)
def test_model_with_dropout(library):
    build, evaluate = BUILDERS[library]
    model = build()
    params = model.init(jax.random.key(0))
    np.testing.assert_allclose(model.apply(params, INPUTS), evaluate(params), rtol=1e-5, atol=1e-6)
    rows, keys = np.tile(INPUTS[:1], (6, 1)), jax.random.split(jax.random.key(1), 6)
    outputs = jax.jit(model.apply)(params, rows, keys=keys)
    assert outputs.shape == (6, 2)
    assert len(np.unique(outputs[:, 0])) == 6
    np.testing.assert_allclose(model.apply(params, rows[:2], keys=keys[:2]), outputs[:2], rtol=1e-5)


@pytest.mark.parametrize("library", BUILDERS)
def test_seeds_change_parameters_and_equal_models_share_a_program(library):
    first, second = (BUILDERS[library][0]() for _ in range(2))
    assert jax.tree.structure(first) == jax.tree.structure(second)
    one, other = (jax.tree.leaves(first.init(jax.random.key(seed))) for seed in (0, 1))
    assert any(np.any(a != b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("library", BUILDERS)
def test_trains(library):
    problem = jaxgd.classification(BUILDERS[library][0](), DATA)
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.adam(0.03), 6), jax.random.key(0), 20)
    assert fit.history["train_loss"][-1] < 0.3 * fit.history["train_loss"][0]


@pytest.mark.parametrize("library", PLAIN)
def test_model_without_dropout(library):
    problem = jaxgd.classification(PLAIN[library](), DATA)
    assert jaxgd.evaluate(problem, problem.init(jax.random.key(0)), "train")["loss"] > 0


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_model_without_random_streams_takes_no_keys(library):
    from jaxgd.training.models import takes_keys

    assert not takes_keys(PLAIN[library]().apply)
    assert takes_keys(BUILDERS[library][0]().apply)


@pytest.mark.parametrize(
    "build",
    [
        lambda: jaxgd.from_linen(LinenBatchNorm(), INPUTS),
        lambda: jaxgd.from_nnx(lambda rngs: nnx.BatchNorm(4, rngs=rngs)),
        lambda: jaxgd.from_equinox(
            lambda key: eqx.nn.make_with_state(eqx.nn.BatchNorm)(4, "batch", mode="ema")
        ),
    ],
)
def test_state_is_refused(build):
    with pytest.raises(
        ValueError, match=r"BatchNorm has state that training changes .*Problem\(\.\.\., model_state"
    ):
        build()


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: jaxgd.from_nnx(NnxNet(nnx.Rngs(0))), "rngs"),
        (lambda: jaxgd.from_equinox(EquinoxNet(jax.random.key(0))), "key"),
    ],
)
def test_a_module_instead_of_a_function(build, argument):
    with pytest.raises(TypeError, match=f"build must be a function, such as lambda {argument}"):
        build()


def test_libraries_are_not_imported_unasked():
    code = "import sys, jaxgd; jaxgd.mlp, jaxgd.from_linen; assert not {'flax', 'equinox'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


FACTOR = 1.0


def scaled_tanh(x):
    return jnp.tanh(FACTOR * x)


class LinenSetup(nn.Module):
    def setup(self):
        self.dense, self.factor = nn.Dense(2), FACTOR

    def __call__(self, x):
        return self.dense(self.factor * x)


class NnxInner(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.dense(FACTOR * x)


class NnxOuter(nnx.Module):
    def __init__(self, rngs):
        self.inner = NnxInner(rngs)

    def __call__(self, x):
        return self.inner(x)


class EquinoxInner(eqx.Module):
    dense: eqx.nn.Linear

    def __init__(self, key):
        self.dense = eqx.nn.Linear(4, 2, key=key)

    def __call__(self, x):
        return self.dense(FACTOR * x)


class EquinoxOuter(eqx.Module):
    inner: EquinoxInner

    def __init__(self, key):
        self.inner = EquinoxInner(key)

    def __call__(self, x):
        return self.inner(x)


@pytest.mark.parametrize(
    "build",
    [
        lambda: jaxgd.from_linen(LinenSetup(), INPUTS[:1]),
        lambda: jaxgd.from_linen(nn.Sequential([nn.Dense(3), scaled_tanh]), INPUTS[:1]),
        lambda: jaxgd.from_nnx(NnxOuter),
        lambda: jaxgd.from_equinox(EquinoxOuter),
        lambda: jaxgd.from_equinox(lambda key: eqx.nn.MLP(4, 2, 8, 1, activation=scaled_tanh, key=key)),
    ],
)
def test_a_global_that_a_network_reads_is_part_of_it(build, monkeypatch):
    model = build()
    check_unchanged(model)
    monkeypatch.setitem(globals(), "FACTOR", 10.0)
    with pytest.raises(ValueError, match=r"reads FACTOR, which was 1\.0 then and is 10\.0 now"):
        check_unchanged(model)
    assert jax.tree.structure(build()) != jax.tree.structure(model)
