"""Runs begin with a look at whether their losses are coupled; what a problem says of it is done."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.problems import coupling
from jaxgd.training.problems.coupling import check_coupling

MESSAGE = r"^loss of example \d+ changes when other examples do: Problem\(\.\.\., coupled=True\)"
ROWS = np.random.default_rng(0).normal(size=(160, 3)).astype(np.float32)


def centred(p, b):
    return (b @ p - (b @ p).mean() - b[:, 0]) ** 2


def centred_trainer(**options):
    problem = jaxgd.Problem(lambda key: jnp.zeros(3), centred, ROWS, **options)
    return jaxgd.trainer(problem, jaxgd.sgd(0.1), 48)


@pytest.mark.parametrize(
    ("coupled", "right"),
    [(True, [0.85954, -0.01653, -0.02484]), (False, [0.67807, 0.07381, -0.18726])],
)
def test_what_is_said_is_done(coupled, right):
    fit = jaxgd.fit(centred_trainer(coupled=coupled), jax.random.key(0), 2)
    np.testing.assert_allclose(fit.state.params, right, atol=2e-5)


@pytest.mark.parametrize("run", [
    lambda trainer: jaxgd.fit(trainer, jax.random.key(0), 2),
    lambda trainer: jaxgd.train(trainer, jax.random.key(0), 2, progress=False),
    lambda trainer: next(jaxgd.iterate(trainer, jax.random.key(0), 2)),
    lambda trainer: jaxgd.sweep(lambda hp: trainer, {"seed": [0]}, 2, progress=False),
])  # fmt: skip
def test_runs_begin_with_it(run, monkeypatch):
    for place in ("training.segments.segment", "sweeps.engine.driver.Driver.call"):
        monkeypatch.setattr(f"jaxgd.{place}", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(ValueError, match=MESSAGE):
        run(centred_trainer())


def test_once_for_each_structure_and_never_where_it_is_traced(monkeypatch):
    compared = []
    monkeypatch.setattr(coupling, "_compare", lambda *given: compared.append(given) or True)
    coupling._KNOWN.clear()
    trainer = centred_trainer()
    jax.eval_shape(lambda: jaxgd.fit(trainer, jax.random.key(0), 2))
    jax.eval_shape(lambda key: jaxgd.fit(trainer, key, 2), jax.random.key(0))
    assert not compared
    for _ in range(2):
        check_coupling(centred_trainer().problem, jnp.zeros(3))
    assert len(compared) == 1
    check_coupling(centred_trainer().problem.replace(train=ROWS[:50]), jnp.zeros(3))
    assert len(compared) == 2


def product(params, inputs):
    return inputs @ params


@pytest.mark.parametrize(
    ("model", "coupled"),
    [
        (jaxgd.mlp([3, 2]), False),
        (jaxgd.mixed_precision(jaxgd.mlp([3, 2])), False),
        (jaxgd.drop_connect(jaxgd.mlp([3, 2]), 0.5), False),
        (jaxgd.mlp([3, 4, 2], activation=jnp.tanh), None),
        (jaxgd.Model(lambda key: jnp.zeros((3, 2)), lambda params, inputs: inputs @ params), None),
        (
            jaxgd.Model(lambda key: jnp.zeros((3, 2)), lambda params, inputs: inputs @ params, coupled=True),
            True,
        ),
    ],
)
def test_a_problem_has_what_its_model_says(model, coupled):
    problem = jaxgd.classification(model, (ROWS, (ROWS[:, 0] > 0).astype(int)))
    assert problem.coupled.value is coupled
    assert jaxgd.regularized(problem, l2=0.1).coupled.value is coupled
    # What is known of one loss is not known of another.
    assert problem.replace(loss=centred).coupled.value is (coupled or None)
    assert problem.replace(loss=centred, coupled=False).coupled.value is False


@pytest.mark.parametrize("dtype", ["complex64", "float16", "bfloat16"])
def test_parameters_of_any_dtype_are_looked_at(dtype):
    def loss(p, b):
        return jnp.square(jnp.abs(p - p.dtype.type(3))).astype(jnp.float32) * b

    problem = jaxgd.Problem(lambda key: jnp.ones((), dtype), loss, np.arange(1, 7, dtype=np.float32))
    check_coupling(problem, jnp.ones((), dtype))

    def centred(p, b):
        return loss(p, b) - loss(p, b).mean()

    with pytest.raises(ValueError, match=MESSAGE):
        check_coupling(problem.replace(loss=centred), jnp.ones((), dtype))
