"""Sweeps whose batches are split over devices: lanes over one axis of a mesh, batches over the others."""

import concurrent.futures
import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from jax.sharding import PartitionSpec

import jaxgd

# On eight devices, in float64, so in a process of its own.
SCRIPT = (
    (Path(__file__).parents[1] / "eight_devices.py").read_text()
    + """
import json, sys, tempfile
from jax.sharding import AxisType, PartitionSpec as P
from jaxgd.machine.meshes import lane_devices
from jaxgd.sweeps.engine.programs import lower
from jaxgd.sweeps.planning.planner import Options
from jaxgd.sweeps.sweeping import plan_on

make = lambda problem, hp, **k: jaxgd.trainer(problem, jaxgd.adam(hp.learning_rate), hp.batch_size, **k)
TRAINERS = {  # the last batch of 16 and of 32 has 4 examples
    "plain": lambda hp, **k: make(mlp, hp, **k),
    "micro": lambda hp, **k: make(mlp, hp, microbatch=8, **k),
    "weighted": lambda hp, **k: make(weighted, hp, **k),
    "dropout": lambda hp, **k: make(dropout, hp, **k),
    "stopping": lambda hp, **k: jaxgd.early_stopping(TRAINERS["plain"](hp, **k), patience=1),
}
AXES = {"batch_size": [16, 32], "learning_rate": [0.01, 0.02, 0.03, 0.05], "seed": [0, 1, 2]}
PLANS = {
    "chosen": {}, "apart": {"merge": False}, "at once": {"kind": "vmap"}, "exact": {"exact": True},
    "three": {"width": 3, "lanes": 6},
}
MESHES = {
    "auto": ((2, 4), ("runs", "data"), 2 * (AxisType.Auto,), P("data")),
    "explicit": ((2, 4), ("runs", "data"), 2 * (AxisType.Explicit,), P("data")),
    "three axes": ((2, 2, 2), ("a", "runs", "b"), 3 * (AxisType.Auto,), P(("a", "b"))),
    "data first": ((4, 2), ("data", "runs"), 2 * (AxisType.Auto,), P("data")),
}

def set_mesh(name):
    shape, axes, types, spec = MESHES[name]
    return jax.set_mesh(jax.make_mesh(shape, axes, axis_types=types)), spec

def difference(one, other):
    names = ("train_loss", "grad_norm", "updates")
    return max(float(np.nanmax(np.abs(one[n].values / other[n].values - 1))) for n in names)

def compare(trainer, mesh, plan):
    make = TRAINERS[trainer]
    one = jaxgd.sweep(make, AXES, 2, progress=False).dataset
    mesh, spec = set_mesh(mesh)
    with mesh:
        split = lambda hp: make(hp, batch_spec=spec)
        planned = jaxgd.plan(split, AXES, 2, **PLANS[plan])
        return difference(jaxgd.sweep(split, AXES, 2, plan=planned, progress=False).dataset, one)

def collectives_of(trainer, mesh, plan):
    mesh, spec = set_mesh(mesh)
    with mesh:
        split = lambda hp: TRAINERS[trainer](hp, batch_spec=spec)
        _, planned, engine = plan_on(None, split, AXES, 2, Options(merge=False, kind=plan))
        programs = [lower(engine.inputs(group), program.recipe, engine.devices) for group, program in planned]
        return [collectives(program.compile().as_text()) for program in programs]

def devices(mesh):
    mesh, spec = set_mesh(mesh)
    with mesh:
        return [[device.id for device in group.devices] for group in lane_devices([None, spec])]

def folder():
    mesh, spec = set_mesh("auto")
    split = lambda hp: TRAINERS["plain"](hp, batch_spec=spec)
    one = jaxgd.sweep(TRAINERS["plain"], AXES, 2, progress=False).dataset
    with mesh, tempfile.TemporaryDirectory() as at:
        some = {**AXES, "seed": [0, 1]}
        jaxgd.sweep(split, some, 2, folder=at, progress=False)
        result = jaxgd.sweep(split, AXES, 2, folder=at, progress=False, clock=True)
        again = jaxgd.sweep(split, AXES, 2, plan=result.plan, progress=False)
        assert bool((again.dataset.train_loss == result.dataset.train_loss).all())
        assert bool((result.clocked().dataset.seconds > 0).all())
    return difference(result.dataset, one), result.plan.device

results = []
for function, *arguments in json.loads(sys.argv[1]):
    results.append(globals()[function](*arguments))
print(json.dumps(results))
"""
)


def results(*cases):
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(cases)], capture_output=True, text=True, check=False
    )
    assert not process.returncode, process.stderr
    return json.loads(process.stdout)


def test_numbers_are_those_of_whole_batches():
    assert max(results(("compare", "plain", "explicit", "chosen"))) < 1e-9


def test_devices_of_a_mesh_in_groups():
    two_by_four, three_axes, data_first = results(
        ("devices", "auto"), ("devices", "three axes"), ("devices", "data first")
    )
    assert two_by_four == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert three_axes == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert data_first == [[0, 2, 4, 6], [1, 3, 5, 7]]


@pytest.mark.slow
def test_numbers_of_every_plan_and_mesh():
    cases = [("compare", "plain", "auto", plan) for plan in ("at once", "exact", "three")]
    cases += [("compare", name, "explicit", "apart") for name in ("micro", "dropout", "stopping")]
    cases += [("compare", "weighted", "three axes", "chosen")]
    found = dict(zip(cases, results(*cases), strict=True))
    assert max(found.values()) < 1e-9, found


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["map", "vmap"])
def test_one_sum_over_a_group_and_none_between_lanes(plan):
    (programs,) = results(("collectives_of", "plain", "auto", plan))
    # The last batch of an epoch, which is shorter, has a step of its own.
    assert programs
    for found in programs:
        assert {tuple(each) for each in found} == {("all-reduce", "[2,4]<=[8]")}, found
        assert len(found) <= 2


@pytest.mark.slow
def test_in_a_folder_with_the_clock_and_again():
    ((difference, device),) = results(("folder",))
    assert difference < 1e-9
    assert device == "2 x (4 x cpu)"


@pytest.fixture
def problem():
    data = jax.numpy.arange(12.0).reshape(6, 2), jax.numpy.arange(6) % 2
    return jaxgd.classification(jaxgd.linear(2, 2), data)


def sweep(problem, axis, **options):
    def make_trainer(hp):
        return jaxgd.trainer(problem, jaxgd.sgd(0.1), 2, batch_spec=PartitionSpec(axis))

    return jaxgd.sweep(make_trainer, {"seed": [0, 1]}, 1, **options)


def test_no_mesh_is_set(problem):
    with pytest.raises(ValueError, match="no mesh is set"):
        sweep(problem, "data")


def test_an_axis_with_the_name_of_that_of_lanes(problem):
    with (
        jax.set_mesh(jax.make_mesh((1,), ("lanes",), devices=jax.devices()[:1])),
        pytest.raises(ValueError, match="a sweep gives the name 'lanes' to the axis of its runs"),
    ):
        sweep(problem, "lanes")


def test_workers_train_whole_batches(problem):
    pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with (
        pool,
        jax.set_mesh(jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])),
        pytest.raises(ValueError, match=r"batch_spec splits each batch .* leave one of them out"),
    ):
        sweep(problem, "data", executor=pool)
