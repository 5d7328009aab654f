"""Training programs for machines that are not here: each exports for CPUs, GPUs and TPUs in one module."""

import functools
import runpy
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import export
from jax.sharding import SingleDeviceSharding

import jaxgd
from jaxgd.machine.topologies import described_devices
from jaxgd.sweeps.engine.programs import build_program, bytes_of
from jaxgd.sweeps.engine.targets import collectives_of
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.lanes.slots import Occupancy
from jaxgd.sweeps.planning.planner import Options
from jaxgd.sweeps.sweeping import plan_on
from jaxgd.training.fitting import begin_run
from jaxgd.training.segments import extent, segment

PLATFORMS = ("cpu", "cuda", "tpu")
# Batch normalisation, token weights, augmentation with coupled examples, sampled codes, dropout, Equinox.
EXAMPLE = Path(__file__).parents[3] / "examples" / "six_problems.py"
SIX = [
    "batch_norm_cnn",
    "language_model",
    "contrastive",
    "variational_autoencoder",
    "flax_nnx",
    "equinox_mlp",
]
EPOCHS = 2
AXES = {"learning_rate": [1e-3, 1e-2], "seed": [0, 1]}

pytestmark = pytest.mark.usefixtures("promoting")  # the losses are as newcomers write them


@functools.cache
def problem_of(name):
    if name == "mlp":
        inputs = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
        return jaxgd.regression(
            jaxgd.mlp([4, 8, 1]), (inputs[:48], inputs[:48, 0]), (inputs[48:], inputs[48:, 0])
        )
    return runpy.run_path(str(EXAMPLE))[name]()


def make_trainer(name, rate=1e-3):
    return jaxgd.trainer(problem_of(name), jaxgd.adam(rate), 16)


def program_of(name, kind, devices):
    """A program, of `fit` or of a sweep, and what a whole run is given."""
    if kind == "fit":
        course = begin_run(make_trainer(name), jax.random.key(0), EPOCHS)
        first, orders = course.orders_of(0)
        part = extent(0, course.whole, course.num)
        return segment, (course.trainer, course.state, course.history, orders, first, part)
    make = lambda hp: make_trainer(name, hp.learning_rate)  # noqa: E731
    _, [(group, program)], engine = plan_on(devices, make, AXES, EPOCHS, Options(kind=kind))
    inputs, recipe, num = Inputs(group, engine.sources), program.recipe, len(group.runs)
    active = np.arange(recipe.slots) < num
    occupancy = Occupancy.of(active, active, recipe.devices, recipe.width)
    slots = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), inputs.slots(recipe.slots))
    lanes = inputs.gather(np.minimum(np.arange(recipe.slots), num - 1).tolist())
    whole = extent(0, EPOCHS * group.num_examples, group.num_examples)
    arguments = (inputs.shared, lanes, slots, occupancy, whole)
    return build_program(inputs, recipe, devices), arguments


def of_leaves(program, arguments):
    """The program as one of arrays: a module that is serialised knows no classes of ours."""
    leaves, structure = jax.tree.flatten(arguments)
    run = lambda *leaves: jax.tree.leaves(program(*jax.tree.unflatten(structure, leaves)))  # noqa: E731
    return jax.jit(run), leaves


def numbers(tree):
    """The arrays of a tree, keys as numbers."""
    is_key = lambda x: jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)  # noqa: E731
    return [np.asarray(jax.random.key_data(x) if is_key(x) else x) for x in jax.tree.leaves(tree)]


@pytest.mark.parametrize("kind", ["map", "vmap", "fit"])
@pytest.mark.parametrize("name", SIX)
def test_every_program_exports(name, kind):
    program, arguments = program_of(name, kind, jax.devices())
    made = export.export(program, platforms=PLATFORMS)(*arguments)
    assert made.platforms == PLATFORMS
    assert made.nr_devices == (1 if kind == "fit" else 2)


@pytest.mark.parametrize("kind", ["map", "vmap", "fit"])
@pytest.mark.parametrize("name", ["mlp", *(pytest.param(name, marks=pytest.mark.slow) for name in SIX)])
def test_a_module_that_was_serialised_gives_the_same_numbers(name, kind):
    """Nearly all to the bit: what a platform does its own way is a branch, which XLA may round otherwise."""
    pytest.importorskip("flatbuffers")
    program, arguments = program_of(name, kind, jax.devices()[:1])
    run, leaves = of_leaves(program, arguments)
    written = export.export(run, platforms=PLATFORMS)(*leaves).serialize()
    found = export.deserialize(written).call(*leaves)
    expected = program(*arguments)
    assert max(np.abs(x).max() for x in numbers(found) if x.dtype.kind == "f") > 0
    for one, other in zip(numbers(found), numbers(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["map", "vmap", "fit"])
@pytest.mark.parametrize("name", SIX)
def test_a_tpu_that_is_not_here_has_a_program(name, kind):
    pytest.importorskip("libtpu")
    devices = described_devices("v5e:2x2")
    program, arguments = program_of(name, kind, devices)
    if kind == "fit":
        on_one = SingleDeviceSharding(devices[0])
        on_device = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=on_one)  # noqa: E731
        arguments = jax.tree.map(on_device, jax.tree.map(jax.numpy.asarray, arguments))
    executable = program.lower(*arguments).compile()
    assert bytes_of(executable) > 0
    assert collectives_of(executable.as_text()) == {}


def test_a_run_is_a_function_that_exports():
    trainer, key = make_trainer("mlp"), jax.random.key(3)
    run = jax.jit(lambda key: jaxgd.fit(trainer, key, EPOCHS).history)
    history = export.export(run, platforms=PLATFORMS)(key).call(key)
    for name, column in jaxgd.fit(trainer, key, EPOCHS).history.items():
        np.testing.assert_allclose(history[name], column, rtol=1e-5, err_msg=name)
