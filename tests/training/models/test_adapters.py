"""Models of Flax Linen, Flax NNX and Equinox, made of the real libraries."""

import functools
import re
import subprocess
import sys

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxgd
from jaxgd.pytrees import check_unchanged
from jaxgd.training.batching import epoch_order
from jaxgd.training.fitting import drawn_params

INPUTS = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
KEY = jax.random.key(1)
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
        return nn.Dense(2)(nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x))))


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(4, 64, rngs=rngs), nnx.Linear(64, 2, rngs=rngs)])
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.layers[1](self.dropout(nnx.relu(self.layers[0](x))))


class NnxBatchNorm(nnx.Module):
    def __init__(self, rngs, rate=0.0):
        self.first, self.last = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs) if rate else None

    def __call__(self, x):
        hidden = nnx.relu(self.norm(self.first(x)))
        return self.last(hidden if self.dropout is None else self.dropout(hidden))


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


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (BUILDERS["linen"][0], "LinenNet"),
        (BUILDERS["nnx"][0], "NnxNet"),
        (BUILDERS["equinox"][0], "EquinoxNet"),
        (PLAIN["nnx"], "Linear"),
        (lambda: jaxgd.from_nnx(NnxBatchNorm), "NnxBatchNorm"),
    ],
)
def test_a_module_is_shown_by_its_class(build, name):
    model = build()
    assert repr(model) == f"Model({name})"
    trainer = jaxgd.trainer(jaxgd.classification(model, DATA), jaxgd.sgd(0.1), 6)
    assert re.fullmatch(rf"trainer\(Problem\(train=12 examples, loss=.*, {name}\), .*", repr(trainer))


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_model_without_random_streams_takes_no_keys(library):
    assert not PLAIN[library]().apply.asks("keys")
    assert BUILDERS[library][0]().apply.asks("keys")


def test_state_of_equinox_is_refused():
    with pytest.raises(
        ValueError, match=r"BatchNorm has state that training changes .*Problem\(\.\.\., model_state"
    ):
        jaxgd.from_equinox(lambda key: eqx.nn.make_with_state(eqx.nn.BatchNorm)(4, "batch", mode="ema"))


class EquinoxWithoutKey(eqx.Module):
    blocks: list

    def __init__(self, key, dropout):
        self.blocks = [eqx.nn.Linear(4, 2, key=key), dropout]

    def __call__(self, x):
        return self.blocks[1](self.blocks[0](x))


def test_a_dropout_of_equinox_whose_module_takes_no_key_is_refused():
    with pytest.raises(
        ValueError,
        match=r"^EquinoxWithoutKey\.blocks\[1\] is a Dropout, but EquinoxWithoutKey\.__call__ takes no key, "
        r"so that nothing would be dropped: write __call__\(self, x, \*, key=None\) and hand the key on",
    ):
        jaxgd.from_equinox(lambda key: EquinoxWithoutKey(key, eqx.nn.Dropout(0.5)))


@pytest.mark.parametrize("dropout", [eqx.nn.Dropout(0.0), eqx.nn.Dropout(0.5, inference=True)])
def test_a_dropout_of_equinox_that_drops_nothing_needs_no_key(dropout):
    model = jaxgd.from_equinox(lambda key: EquinoxWithoutKey(key, dropout))
    assert model.apply(model.init(jax.random.key(0)), INPUTS).shape == (12, 2)


def nnx_step(module, inputs, labels):
    def mean_loss(module):
        return optax.softmax_cross_entropy_with_integer_labels(module(inputs), labels).mean()

    params, gradients = nnx.state(module, nnx.Param), nnx.grad(mean_loss)(module)
    nnx.update(module, jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients))


def by_hand_nnx(params, batches):
    """The module after plain NNX training, its state, and its logits in evaluation."""
    module = NnxBatchNorm(nnx.Rngs(7))
    nnx.update(module, params)
    module.train()
    step = nnx.jit(nnx_step)
    for batch in batches:
        step(module, *batch)
    module.eval()
    state = nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))
    return nnx.to_pure_dict(nnx.state(module, nnx.Param)), state, module(INPUTS)


def by_hand_linen(params, batches):
    module = LinenBatchNorm()
    state = {"BatchNorm_0": {"mean": jnp.zeros(8), "var": jnp.ones(8)}}

    def mean_loss(params, state, inputs, labels):
        variables = {"params": params, "batch_stats": state}
        logits, new = module.apply(variables, inputs, True, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), new["batch_stats"]

    gradient = jax.jit(jax.grad(mean_loss, has_aux=True))
    for inputs, labels in batches:
        gradients, state = gradient(params, state, inputs, labels)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients)
    variables = {"params": params, "batch_stats": state}
    return params, {"batch_stats": state}, module.apply(variables, INPUTS, False)


WITH_STATE = {
    "linen": (lambda: jaxgd.from_linen(LinenBatchNorm(), INPUTS), by_hand_linen),
    "nnx": (lambda: jaxgd.from_nnx(NnxBatchNorm), by_hand_nnx),
}


@pytest.mark.slow
@pytest.mark.parametrize("library", WITH_STATE)
def test_batch_norm_is_trained_as_by_hand(library):
    build, by_hand = WITH_STATE[library]
    problem = jaxgd.classification(build(), DATA, valid=DATA)
    assert problem.coupled.value is True
    assert jax.tree.structure(jaxgd.classification(build(), DATA, valid=DATA)) == jax.tree.structure(problem)
    key = jax.random.key(0)
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), 6), key, 2)
    orders = [np.asarray(epoch_order(key, epoch, 12, "shuffle")) for epoch in range(2)]
    rows = [order[begin : begin + 6] for order in orders for begin in (0, 6)]
    batches = [(INPUTS[r], DATA[1][r]) for r in rows]
    params, state, logits = by_hand(drawn_params(problem.init, key), batches)
    for one, other in ((fit.state.params, params), (fit.state.model_state, state)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), one, other)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, DATA[1])
    np.testing.assert_allclose(fit.history["valid_loss"][-1], losses.mean(), rtol=1e-4)
    np.testing.assert_allclose(fit.history["valid_accuracy"][-1], np.mean(logits.argmax(1) == DATA[1]))
    with pytest.raises(ValueError, match="a coupled problem cannot be trained with microbatch=2"):
        jaxgd.trainer(problem, jaxgd.sgd(0.1), 4, microbatch=2)


@pytest.mark.slow
def test_batch_norm_and_dropout_of_nnx():
    model = jaxgd.from_nnx(lambda rngs: NnxBatchNorm(rngs, rate=0.5))
    params, keys = model.init(jax.random.key(0)), jax.random.split(jax.random.key(1), 12)
    rows = np.tile(INPUTS, (20, 1))
    run = jax.jit(lambda keys: model.apply(params, rows, model.model_state, True, keys))
    one, state = run(jax.random.split(keys[0], 240))
    other, _ = run(jax.random.split(keys[1], 240))
    assert len(np.unique(one[::12, 0])) > 8  # each example has its own mask,
    assert np.any(one != other)  # of each batch's key
    mean = nnx_mean_of_hidden(params, rows)
    np.testing.assert_allclose(state["norm"]["mean"], 0.01 * mean, rtol=1e-4, atol=1e-7)
    evaluation, same = jax.jit(lambda: model.apply(params, rows, model.model_state, False))()
    assert len(np.unique(evaluation[::12, 0])) == 1
    jax.tree.map(np.testing.assert_array_equal, same, model.model_state)
    fit = jaxgd.fit(
        jaxgd.trainer(jaxgd.classification(model, DATA), jaxgd.adam(0.03), 6), jax.random.key(0), 20
    )
    assert fit.history["train_loss"][-1] < 0.6 * fit.history["train_loss"][0]


def nnx_mean_of_hidden(params, rows):
    return (rows @ params["first"]["kernel"]).mean(axis=0) + params["first"]["bias"]


@pytest.mark.parametrize(
    ("wrap", "name"),
    [(jaxgd.mixed_precision, "mixed_precision"), (lambda m: jaxgd.drop_connect(m, 0.5), "drop_connect")],
)
def test_wrappers_that_know_of_no_state(wrap, name):
    with pytest.raises(ValueError, match=f"{name} takes no model that has a model_state"):
        wrap(jaxgd.from_nnx(NnxBatchNorm))


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


@pytest.mark.parametrize("library", PLAIN)
def test_inputs_that_a_module_is_not_made_for(library):
    with pytest.raises(
        ValueError,
        match=r"^the model cannot be applied to train inputs of shape \(1, 3\) \(one example\): .*[^. ]; "
        r"the model gets inputs of shape \(3,\) each: make it for those, or reshape them$",
    ):
        jaxgd.classification(PLAIN[library](), (INPUTS[:, :3], DATA[1]))


class NnxSwitched(nnx.Module):
    def __init__(self, rngs):
        self.dropout, self.dense = nnx.Dropout(0.5, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x, train):
        return self.dense(self.dropout(x, deterministic=not train))


class NnxSwitchedOff(NnxSwitched):
    def __call__(self, x, *, train=False):
        return super().__call__(x, train)


@pytest.mark.parametrize("module", [NnxSwitched, NnxSwitchedOff])
def test_a_call_of_nnx_is_told_whether_it_is_in_training(module):
    model = jaxgd.from_nnx(module)
    params, rows = model.init(jax.random.key(0)), np.tile(INPUTS[:1], (6, 1))
    assert len(np.unique(model.apply(params, rows, keys=jax.random.split(KEY, 6))[:, 0])) > 1
    assert len(np.unique(model.apply(params, rows)[:, 0])) == 1


def test_a_call_of_nnx_that_needs_more_is_refused():
    class Masked(NnxSwitched):
        def __call__(self, x, mask):
            return self.dense(x * mask)

    with pytest.raises(
        TypeError, match=r"^Masked\.__call__ must need a batch of inputs alone, got an argument 'mask'"
    ):
        jaxgd.from_nnx(Masked)


class NnxByKeyword(nnx.Module):
    def __init__(self, width=3, *, rngs):
        self.dense = nnx.Linear(4, width, rngs=rngs)

    def __call__(self, x):
        return self.dense(x)


class EquinoxByKeyword(eqx.Module):
    dense: eqx.nn.Linear

    def __init__(self, width=3, *, key):
        self.dense = eqx.nn.Linear(4, width, key=key)

    def __call__(self, x):
        return self.dense(x)


@pytest.mark.parametrize(
    ("build", "width"),
    [
        (lambda: jaxgd.from_nnx(NnxByKeyword), 3),
        (lambda: jaxgd.from_nnx(functools.partial(NnxByKeyword, 5)), 5),
        (lambda: jaxgd.from_nnx(lambda streams: NnxByKeyword(6, rngs=streams)), 6),
        (lambda: jaxgd.from_equinox(EquinoxByKeyword), 3),
        (lambda: jaxgd.from_equinox(functools.partial(EquinoxByKeyword, 5)), 5),
        (lambda: jaxgd.from_equinox(lambda seed: EquinoxByKeyword(6, key=seed)), 6),
    ],
)
def test_a_class_whose_random_source_is_a_keyword(build, width):
    model = build()
    assert model.apply(model.init(jax.random.key(0)), INPUTS).shape == (12, width)


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


def test_a_class_of_modules_is_no_module():
    with pytest.raises(TypeError, match=r"^module must be a module, such as Dense\(\), got the class$"):
        jaxgd.from_linen(nn.Dense, np.ones((1, 4)))
