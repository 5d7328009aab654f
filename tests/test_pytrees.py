import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgd.pytrees import Static

FACTOR = 2.0


def function_in_the_module(x):
    return FACTOR * x


def scaled_by(factor):
    return lambda x: factor * x


def reads_the_global():
    return lambda x: FACTOR * x


def with_default(factor):
    def scale(x, by=factor):
        return x * by

    return scale


def with_keyword(factor):
    def scale(x, *, by=factor):
        return x * by

    return scale


def countdown():
    def step(n):
        return n if n == 0 else step(n - 1)

    return step


class Model:
    def __call__(self, x):
        return x

    def apply(self, x):
        return x


SHARED = np.ones(3)
MODEL = Model()
EQUAL = {
    "number": lambda: 3,
    "nan": lambda: float("nan"),
    "closure": lambda: scaled_by(2.0),
    "default": lambda: with_default(2.0),
    "global": reads_the_global,
    "recursive": countdown,
    "importable": lambda: function_in_the_module,
    "closure over the same array": lambda: scaled_by(SHARED),
    "method": lambda: MODEL.apply,
    "partial": lambda: jax.tree_util.Partial(scaled_by(2.0), 3),
    "clip": lambda: optax.clip(1.0),
    "adam": lambda: optax.adam(1e-3),
    "schedule": lambda: optax.warmup_cosine_decay_schedule(0.0, 1.0, 5, 10),
    "containers": lambda: {"a": [1, (2.0, {3})]},
    "dtype": lambda: jnp.dtype("bfloat16"),
}
UNEQUAL = {
    "number": (1, 1.0),
    "bool": (1, True),
    "closure": (scaled_by(2.0), scaled_by(3.0)),
    "sign of zero": (scaled_by(0.0), scaled_by(-0.0)),
    "default": (with_default(2.0), with_default(3.0)),
    "keyword": (with_keyword(2.0), with_keyword(3.0)),
    "array": (scaled_by(np.ones(3)), scaled_by(np.ones(3))),
    "method": (Model().apply, Model().apply),
    "instance": (Model(), Model()),
    "clip": (optax.clip(1.0), optax.clip(2.0)),
    "jitted": (jax.jit(scaled_by(2.0)), jax.jit(scaled_by(3.0))),
    "list and tuple": ([1], (1,)),
}


@pytest.mark.parametrize("make", EQUAL.values(), ids=EQUAL)
def test_equal_if_built_alike(make):
    one, other = Static(make()), Static(make())
    assert one == other
    assert hash(one) == hash(other)
    assert jax.tree.structure(one) == jax.tree.structure(other)


@pytest.mark.parametrize(("one", "other"), UNEQUAL.values(), ids=UNEQUAL)
def test_unequal(one, other):
    assert Static(one) != Static(other)


def test_a_redefined_global_is_another_structure(monkeypatch):
    before = Static(reads_the_global())
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert Static(reads_the_global()) != before


def test_a_nested_function_reads_globals_too(monkeypatch):
    def outer():
        return lambda x: FACTOR * x

    before = Static(outer)
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert Static(outer) != before


def test_has_no_leaves_and_calls_through():
    static = Static(scaled_by(2.0))
    assert jax.tree.leaves(static) == []
    assert static(3.0) == 6.0
    assert Static(static).value is static.value
    assert static != static.value


def test_pickle():
    assert pickle.loads(pickle.dumps(Static(function_in_the_module))) == Static(function_in_the_module)


def test_tracers_in_closures_are_found():
    found = []
    jax.jit(lambda x: found.append(len(Static(scaled_by(x)).tracers)) or x)(1.0)
    assert found == [1]
    assert Static(scaled_by(1.0)).tracers == ()


def test_one_program_for_equal_functions():
    run = jax.jit(lambda static, x: static(x))
    assert run(Static(scaled_by(2.0)), 1.0) == 2.0
    assert run(Static(scaled_by(2.0)), 1.0) == 2.0
    assert run._cache_size() == 1
    assert run(Static(scaled_by(3.0)), 1.0) == 3.0
