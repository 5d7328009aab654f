"""JAX's own switches for finding mistakes: healthy runs pass them with the numbers that they have without."""

import traceback

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.machine import compiling
from jaxgd.machine.kept import Kept
from jaxgd.sweeps.engine import programs

KEY = jax.random.key(0)
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(30, 4)).astype(np.float32)
LABELS = (INPUTS[:, 0] > 0).astype(int)
CHARACTERS = GENERATOR.integers(0, 5, size=(30, 4))
SWITCHES = {
    "jax_check_tracer_leaks": True,
    "jax_debug_infs": True,
    "jax_debug_key_reuse": True,
    "jax_debug_nans": True,
    "jax_disable_jit": True,
    "jax_enable_x64": True,
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_transfer_guard": "disallow",
}
GUARDS = [f"jax_transfer_guard_{way}" for way in ("host_to_device", "device_to_device", "device_to_host")]


@pytest.fixture
def switch():
    """Sets a switch, until the test ends."""
    before = {}

    def set_to(name, value):
        for each in GUARDS if name == "jax_transfer_guard" else [name]:
            before[each] = getattr(jax.config, each)
            jax.config.update(each, value)

    yield set_to
    for name, value in before.items():
        jax.config.update(name, value)


def split(inputs=INPUTS, labels=LABELS):
    return (inputs[:24], labels[:24]), (inputs[24:], labels[24:])


def make_trainer(problem, rate=0.1):
    return jaxgd.early_stopping(jaxgd.trainer(problem, jaxgd.adam(rate), 5), patience=1)


def first_params(key):
    """The same at any precision, as random numbers are not."""
    drawn = np.random.default_rng(1)
    sizes = [(4, 4), (4, 2)]
    return [{"w": jnp.asarray(drawn.normal(size=s), float), "b": jnp.zeros(s[1])} for s in sizes]


def numbers():
    """What each of the ways to use a problem gives."""
    problem = jaxgd.classification(jaxgd.mlp([4, 4, 2]).replace(init=first_params), *split())
    trainer, rates = make_trainer(problem), {"rate": [0.1, 0.01]}
    fit, train = jaxgd.fit(trainer, KEY, 4), jaxgd.train(trainer, KEY, 4, progress=False)
    first, *_ = pairs = list(jaxgd.iterate(trainer, KEY, 4, every=2))
    gone_on = jaxgd.fit(trainer, KEY, 4, start=first)
    result = jaxgd.sweep(lambda hp: make_trainer(problem, hp.rate), rates, 4, progress=False)
    evaluated = jaxgd.evaluate(problem, fit.state.params)
    swept = {name: result.dataset[name].values for name in fit.history}
    runs = {"fit": fit.history, "train": train.history, "iterate": pairs[-1][1], "start": gone_on.history}
    return jax.device_get({**runs, "sweep": swept, "evaluate": evaluated})


@pytest.fixture(scope="module")
def expected():
    return numbers()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:jax_disable_jit is set")
@pytest.mark.parametrize("name", SWITCHES)
def test_the_same_numbers_under_every_switch(name, switch, expected, monkeypatch):
    if name in ("jax_check_tracer_leaks", "jax_debug_key_reuse", "jax_disable_jit"):
        monkeypatch.setattr(programs, "_COMPILED", Kept())  # they are about the way to a program
    switch(name, SWITCHES[name])
    found = numbers()
    is_wide = name == "jax_enable_x64"
    close = {"rtol": 1e-4, "atol": 1e-5} if is_wide else {"rtol": 0}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), found, expected)
    assert found["fit"]["valid_loss"].dtype == (np.float64 if is_wide else np.float32)


NETWORKS = {
    "conv_net": (jaxgd.conv_net((2, 2), 2, channels=(3,)), INPUTS, LABELS),
    "char_transformer": (jaxgd.char_transformer(5, 4, 4, 1, 2), CHARACTERS, CHARACTERS),
    "drops": (jaxgd.mlp([4, 4, 2], dropout=0.5, drop_connect=0.5), INPUTS, LABELS),
}


@pytest.mark.slow
@pytest.mark.parametrize(("model", "inputs", "labels"), NETWORKS.values(), ids=NETWORKS)
def test_networks_under_most_switches_at_once(model, inputs, labels, switch):
    for name in ("jax_debug_nans", "jax_debug_infs", "jax_debug_key_reuse", "jax_transfer_guard"):
        switch(name, SWITCHES[name])
    trainer = jaxgd.trainer(jaxgd.classification(model, *split(inputs, labels)), jaxgd.sgd(0.1), 6)
    fit = jaxgd.fit(trainer, KEY, 1)
    assert np.isfinite(np.asarray(fit.history["valid_loss"])).all()


def test_a_run_that_stops_early_has_no_fault(switch):
    """What marks an epoch that was not, NaN, and a best value that was not, infinity, are no faults."""
    switch("jax_debug_nans", True)
    switch("jax_debug_infs", True)
    trainer = make_trainer(jaxgd.regression(jaxgd.linear(4), (INPUTS, LABELS), (INPUTS, -LABELS)))
    fit, train = jaxgd.fit(trainer, KEY, 4), jaxgd.train(trainer, KEY, 4, progress=False)
    assert int(fit.state.status) == int(train.state.status) == 1
    assert "nan" in repr(np.asarray(fit.history["valid_loss"]))


def logarithm(params, batch):
    return jnp.log(params["w"] - batch)


def make_diverging(w, rate=0.5):
    """A weight that falls faster and faster: the logarithm is NaN once it is below 2."""
    problem = jaxgd.Problem(lambda key: {"w": jnp.asarray(w)}, logarithm, np.full(6, 2, np.float32))
    return jaxgd.trainer(problem, jaxgd.sgd(rate), 2)


def options(run):
    return {} if run is jaxgd.fit else {"progress": False}


def test_a_run_that_diverges_goes_back_without_the_switches():
    fit = jaxgd.fit(make_diverging(3.5), KEY, 4)
    assert (int(fit.state.status), int(fit.state.stopped_at)) == (2, 4)


@pytest.mark.parametrize("run", [jaxgd.fit, jaxgd.train])
@pytest.mark.parametrize("w", [3.5, 1.0], ids=["in the second epoch", "at the start"])
def test_a_run_that_diverges_stops_at_the_line_that_gave_the_number(run, w, switch):
    switch("jax_debug_nans", True)
    with pytest.raises(FloatingPointError, match=r"invalid value \(nan\) encountered in log") as raised:
        run(make_diverging(w), KEY, 4, **options(run))
    assert "logarithm" in [frame.name for frame in traceback.extract_tb(raised.tb)]


def test_parameters_that_overflow(switch):
    """No operation gives a NaN, but the run has come to nothing."""
    switch("jax_debug_nans", True)
    trainer = make_diverging(2.1, rate=3e38).replace(batch_size="full")
    with pytest.raises(FloatingPointError, match="the run diverged at update 1: its loss, gradient or param"):
        jaxgd.fit(trainer, KEY, 4)


def test_a_run_that_is_to_go_on_all_the_same(switch):
    switch("jax_debug_nans", True)
    trainer = make_diverging(3.5).replace(halt_on_divergence=False)
    with pytest.raises(FloatingPointError, match="the run has losses or parameters that are NaN or infinite"):
        jaxgd.fit(trainer, KEY, 4)


def test_a_sweep_goes_on_and_says_which_run_diverged(switch):
    switch("jax_debug_nans", True)
    axes = {"rate": [0.01, 0.5]}
    with pytest.warns(UserWarning, match=r"1 of 2 runs diverged, the first at \(rate=0.5\): to see where"):
        result = jaxgd.sweep(lambda hp: make_diverging(3.5, hp.rate), axes, 4, progress=False)
    assert result.dataset["status"].values.tolist() == ["completed", "diverged"]


def test_programs_are_compiled_where_jit_is_off_and_that_is_said_once(switch):
    compiling._tell_of_disabled_jit.cache_clear()
    switch("jax_disable_jit", True)
    problem = make_diverging(3.5).problem
    with pytest.warns(UserWarning, match="jax_disable_jit is set: jaxgd compiles its own programs all the"):
        jaxgd.evaluate(problem, {"w": jnp.float32(3)}, "train")
    jaxgd.evaluate(problem, {"w": jnp.float32(3)}, "train")  # a second warning would be an error here
