"""State outside the arguments that make_trainer changes: each run's own value, or an early error."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = X[:, 0].copy()
SCALES = [1.0, 10.0, 100.0]
RIGHT = [1.258, 12.58, 125.8]
SCALE = 1.0
TABLE = {"scale": 1.0}
SPACE = SimpleNamespace(scale=1.0)
KEY = jax.random.key(0)


def problem(loss):
    return jaxgd.Problem(lambda key: {"w": jnp.zeros(3)}, loss, (X, Y))


def squares(params, batch):
    return jnp.square(batch[0] @ params["w"] - batch[1])


def set_global(value):
    globals()["SCALE"] = value


# A loss defined anew, and how the scale that it reads is set.
VARIANTS = {
    "SCALE": (lambda: lambda params, batch: SCALE * squares(params, batch), set_global),
    "TABLE['scale']": (
        lambda: lambda params, batch: TABLE["scale"] * squares(params, batch),
        lambda value: TABLE.__setitem__("scale", value),
    ),
    "SPACE.scale": (
        lambda: lambda params, batch: SPACE.scale * squares(params, batch),
        lambda value: setattr(SPACE, "scale", value),
    ),
}


def trainer(problem):
    return jaxgd.trainer(problem, jaxgd.sgd(0.0), 20)


@pytest.fixture(autouse=True)
def ones():
    yield
    for _, change in VARIANTS.values():
        change(1.0)


@pytest.fixture
def no_compile(monkeypatch):
    monkeypatch.setattr(
        "jaxgd.sweeps.engine.execution.compiled", lambda *_: pytest.fail("a program was compiled")
    )


def sweep(make, scales=SCALES):
    return jaxgd.sweep(make, {"scale": scales}, 1, progress=False)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_sweep_names_what_changed_before_it_compiles(name, no_compile):
    build, change = VARIANTS[name]

    def make(hp):
        change(hp.scale)
        return trainer(problem(build()))

    with pytest.raises(ValueError, match="reads ") as error:
        sweep(make)
    assert f"reads {name}, which was " in str(error.value)


@pytest.mark.parametrize("scales", [SCALES, [10.0, 100.0, 1.0], [10.0, 1.0]])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_problem_made_once_and_a_setting_that_comes_back(name, scales, no_compile):
    build, change = VARIANTS[name]
    once = problem(build())

    def make(hp):
        change(hp.scale)
        return trainer(once)

    with pytest.raises(ValueError, match="reads "):
        sweep(make, scales)


def test_a_setting_of_each_runs_own_that_is_changed_after_its_trainer_is_made(no_compile):
    def make(hp):
        conf = {"scale": 1.0}
        made = trainer(problem(lambda params, batch: conf["scale"] * squares(params, batch)))
        conf["scale"] = hp.scale
        return made

    with pytest.raises(ValueError, match=r"reads conf\['scale'\], which was 1.0 then and is 10.0 now"):
        sweep(make)


def test_an_activation_that_reads_a_global(no_compile):
    def make(hp):
        set_global(hp.scale)
        model = jaxgd.mlp([3, 4, 1], activation=lambda x: jnp.tanh(SCALE * x))
        return trainer(jaxgd.regression(model, (X, Y)))

    with pytest.raises(ValueError, match="reads SCALE"):
        sweep(make)


def test_values_of_each_runs_own_are_right_and_one_program_where_nothing_differs():
    def make(hp):
        space = SimpleNamespace(scale=hp.scale)
        return trainer(problem(lambda params, batch: space.scale * squares(params, batch)))

    losses = sweep(make, SCALES[:2]).dataset.train_loss.values.ravel()
    np.testing.assert_allclose(losses, RIGHT[:2], rtol=1e-3)

    def same(hp):
        return trainer(problem(lambda params, batch: SPACE.scale * squares(params, batch)))

    with pytest.warns(UserWarning, match="never uses axis"):
        assert len(jaxgd.plan(same, {"scale": SCALES}, 1).groups) == 1


def test_a_value_that_is_bound_is_one_program_for_all():
    def scaled(scale, params, batch):
        return scale * squares(params, batch)

    def make(hp):
        return trainer(problem(jax.tree_util.Partial(scaled, hp.scale)))

    assert len(jaxgd.plan(make, {"scale": SCALES}, 1).groups) == 1


def test_a_change_while_programs_compile_is_an_error(monkeypatch):
    def make(hp):
        return trainer(problem(lambda params, batch: SPACE.scale * squares(params, batch)))

    before = jaxgd.sweeps.engine.programs.build_program

    def later(*arguments):
        SPACE.scale = 10.0
        return before(*arguments)

    monkeypatch.setattr("jaxgd.sweeps.engine.programs.build_program", later)
    with pytest.raises(ValueError, match=r"reads SPACE.scale, which was 1.0 then and is 10.0 now"):
        sweep(make, [1.0])


@pytest.mark.parametrize("name", ["SCALE", "SPACE.scale"])
def test_one_by_one_each_has_its_own(name):
    build, change = VARIANTS[name]
    found = []
    for scale in SCALES[:2]:
        change(scale)
        made = trainer(problem(build()))
        found.append(float(jaxgd.fit(made, KEY, 1).history["train_loss"][0]))
    np.testing.assert_allclose(found, RIGHT[:2], rtol=1e-3)
    change(1.0)
    with pytest.raises(ValueError, match=f"reads {name}"):
        jaxgd.train(made, KEY, 1, progress=False)
    with pytest.raises(ValueError, match=f"reads {name}"):
        jaxgd.evaluate(made.problem, {"w": jnp.zeros(3)}, "train")
