"""Batches split over the devices of a mesh: the numbers of one device, and one sum over devices a step."""

import functools
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import jaxgd

# Numbers are compared in float64 after two epochs, on eight devices and on one, so in a process of their own.
SCRIPT = (
    (Path(__file__).parents[1] / "eight_devices.py").read_text()
    + """
import functools, json, sys
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

key = jax.random.key(3)
augmented = jaxgd.Problem(
    mlp.init, mlp.loss, train, augment=lambda b, key: (b[0] + jax.random.normal(key, b[0].shape), b[1])
)

def normalized(params, batch, model_state=None, training=False):
    hidden = batch[0] @ params["w"]
    moments = {"mean": hidden.mean(0), "variance": hidden.var(0)} if training else model_state
    hidden = (hidden - moments["mean"][None]) / jnp.sqrt(moments["variance"][None] + 1e-3)
    losses = jnp.square(hidden @ params["v"] - batch[0][:, 0])
    return losses, jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, model_state, moments)

batch_norm = jaxgd.Problem(
    lambda key: {"w": jax.random.normal(key, (6, 8)), "v": jnp.ones(8)}, normalized, train, valid,
    model_state={"mean": jnp.zeros(8), "variance": jnp.ones(8)}, coupled=True,
)
adam = jaxgd.adam(0.01)
TRAINERS = {  # 100 examples: the last batch of 16 has 4, and so have the last ones of 24 and of 32
    "kept": lambda **k: jaxgd.trainer(mlp, adam, 16, **k),
    "dropped": lambda **k: jaxgd.trainer(mlp, adam, 16, remainder="drop", **k),
    "microbatch": lambda **k: jaxgd.trainer(mlp, adam, 32, microbatch=8, **k),
    "even": lambda **k: jaxgd.trainer(mlp, adam, 16, microbatch=8, remainder="drop", **k),
    "full": lambda **k: jaxgd.trainer(mlp, adam, "full", microbatch=8, **k),
    "traced": lambda **k: jaxgd.trainer(mlp, adam, jnp.int32(20), microbatch=8, **k),
    "weighted": lambda **k: jaxgd.trainer(weighted, adam, 16, **k),
    "dropout": lambda **k: jaxgd.trainer(dropout, adam, 16, **k),
    "augmented": lambda **k: jaxgd.trainer(augmented, adam, 16, **k),
    "batch norm": lambda **k: jaxgd.trainer(batch_norm, adam, 24, **k),
    "clipped": lambda **k: jaxgd.early_stopping(
        jaxgd.trainer(mlp, jaxgd.chain(jaxgd.optim.clip_by_global_norm(0.1), adam), 16, **k), patience=1),
}
KINDS = {"auto": AxisType.Auto, "explicit": AxisType.Explicit}

def numbers(fit):
    return fit.history, fit.state.params, fit.state.model_state

def difference(one, other):
    one, other = jax.device_get((one, other))
    return max(
        float(np.max(np.abs(a - b) / np.maximum(np.abs(a), 1e-12)))
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )

def compare(name, kind):
    one = numbers(jaxgd.fit(TRAINERS[name](), key, 2))
    with jax.set_mesh(jax.make_mesh((8,), ("data",), axis_types=(KINDS[kind],))):
        trainer = TRAINERS[name](batch_spec=P("data"))
        run = jax.jit(lambda trainer, key: numbers(jaxgd.fit(trainer, key, 2)))
        program = run.lower(trainer, key).compile()
        return difference(one, program(trainer, key)), collectives(program.as_text())

def ways(kind):
    one, found = numbers(jaxgd.fit(TRAINERS["kept"](), key, 2)), {}
    orders = np.asarray(jaxgd.training.batching.epoch_orders(key, 0, 2, 100, "shuffle"))
    stream = [(x[o[at : at + 16]], y[o[at : at + 16]]) for o in orders for at in range(0, 100, 16)]
    class Loader:
        def set_epoch(self, epoch): self.epoch = epoch
        def __iter__(self): return iter(stream[7 * self.epoch : 7 * self.epoch + 7])
    unread = jaxgd.classification(jaxgd.mlp([6, 8, 2]), None, valid)
    with jax.set_mesh(jax.make_mesh((8,), ("data",), axis_types=(KINDS[kind],))):
        trainer = TRAINERS["kept"](batch_spec=P("data"))
        found["fit"] = jaxgd.fit(trainer, key, 2)
        found["train"] = jaxgd.train(trainer, key, 2, progress=False)
        *_, last = jaxgd.iterate(trainer, key, 2, every=3)
        found["iterate"] = jaxgd.training.fitting.Fit(*last)
        trainer = jaxgd.trainer(unread, adam, 16, batch_spec=P("data"))
        found["batches"] = jaxgd.train(trainer, key, 2, batches=Loader(), progress=False)
    return {way: difference(one, numbers(fit)) for way, fit in found.items()}

def lanes(how, kind):
    run = lambda spec: lambda rate, key: numbers(
        jaxgd.fit(jaxgd.trainer(mlp, jaxgd.adam(rate), 16, batch_spec=spec), key, 2))
    given = jnp.array([0.01, 0.02, 0.03, 0.04]), jax.random.split(key, 4)
    one = jax.jit(jax.vmap(run(None)))(*given)
    with jax.set_mesh(jax.make_mesh((2, 4), ("lanes", "data"), axis_types=2 * (KINDS[kind],))) as mesh:
        given = jax.device_put(given, NamedSharding(jax.sharding.get_mesh(), P("lanes")))
        runs = jax.vmap(run(P("data")), spmd_axis_name="lanes" if how == "vmap" else None)
        if how == "shard_map":
            by_lane = {"in_specs": P("lanes"), "out_specs": P("lanes"), "axis_names": {"lanes"}}
            runs = jax.shard_map(runs, check_vma=False, **by_lane)
        if how == "auto_axes":
            runs = jax.sharding.auto_axes(runs, axes="lanes", out_sharding=P("lanes"))
        program = jax.jit(runs).lower(*given).compile()
        return difference(one, program(*given)), collectives(program.as_text())

results = []
for function, *arguments in json.loads(sys.argv[1]):
    results.append(globals()[function](*arguments))
print(json.dumps(results))
"""
)


@functools.cache
def results(cases):
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(cases)], capture_output=True, text=True, check=False
    )
    assert not process.returncode, process.stderr
    return dict(zip(cases, json.loads(process.stdout), strict=True))


QUICK = (("compare", "kept", "explicit"), ("compare", "microbatch", "auto"))
SLOW = tuple(
    case
    for name in (
        "kept",
        "dropped",
        "microbatch",
        "even",
        "full",
        "traced",
        "weighted",
        "dropout",
        "augmented",
        "batch norm",
        "clipped",
    )
    for kind in ("auto", "explicit")
    if (case := ("compare", name, kind)) not in QUICK
)
LANES = (("lanes", "shard_map", "explicit"), ("lanes", "shard_map", "auto"), ("lanes", "vmap", "auto"))
LANES += (("lanes", "auto_axes", "explicit"),)


@pytest.mark.parametrize(
    "case", [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)], ids=str
)
def test_numbers_are_those_of_one_device_and_one_sum_over_devices_is_made(case):
    found, made = results(QUICK if case in QUICK else SLOW)[case]
    assert found < 1e-9
    assert {kind for kind, _ in made} == {"all-reduce"}
    if case[1] != "batch norm":  # whose moments are sums over the batch, and so are their gradients
        assert len(made) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["auto", "explicit"])
def test_each_way_to_run(kind):
    found = results((("ways", "auto"), ("ways", "explicit")))["ways", kind]
    assert found.keys() == {"fit", "train", "iterate", "batches"}
    assert max(found.values()) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("case", LANES, ids=str)
def test_lanes_over_one_axis_and_batches_over_another(case):
    found, made = results(LANES)[case]
    assert found < 1e-9
    # Devices 0 to 3 have the first lanes, 4 to 7 the others: sums are within each of the two.
    assert len(made) == 1
    kind, groups = made[0]
    assert kind == "all-reduce"
    assert groups in (
        "[2,4]<=[8]",
        "{{0,1,2,3},{4,5,6,7}}",
        "mesh['axis_0'=2,'axis_1'=4,'axis_2'=1] {'axis_1'}",
        "mesh['lanes'=2,'data'=4] {'data'}",
    )


x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(3), (x, x[:, 0]))
DATA = PartitionSpec("data")


def trainer(spec: Any = DATA, batch_size: Any = 4, **options):
    return jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), batch_size, batch_spec=spec, **options)


@pytest.fixture
def mesh():
    with jax.set_mesh(jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])):
        yield


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("data", TypeError),
        (("data",), TypeError),
        (PartitionSpec(), ValueError),
        (PartitionSpec(None), ValueError),
        (PartitionSpec("data", None), ValueError),
        (PartitionSpec("data", "model"), ValueError),
        (PartitionSpec(PartitionSpec.UNCONSTRAINED), ValueError),
    ],
    ids=str,
)
def test_what_is_no_spec_of_the_examples(spec, error):
    with pytest.raises(error, match=r"batch_spec must be a jax\.sharding\.PartitionSpec with one entry"):
        trainer(spec)


def fails(monkeypatch, made, message):
    monkeypatch.setattr(jaxgd.training.fitting, "begin_run", lambda *_: pytest.fail("it ran"))
    key = jax.random.key(0)
    for run in (jaxgd.fit, jaxgd.train, jaxgd.iterate, jax.jit(lambda made, key, _: jaxgd.fit(made, key, 1))):
        with pytest.raises(ValueError, match=message):
            run(made, key, 1)


def test_no_mesh(monkeypatch):
    fails(monkeypatch, trainer(), "batch_spec is P.*'data'.* and no mesh is set")


def test_another_axis(monkeypatch, mesh):
    spec = PartitionSpec(("data", "model"))
    fails(monkeypatch, trainer(spec), r"the mesh that is set has no axis 'model' \(it has 'data'\)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 5}, "batch_size must be a multiple of 2, the devices .* 'data' .* got 5"),
        ({"batch_size": 6, "microbatch": 3}, "microbatch must be a multiple of 2, .* got 3"),
    ],
)
def test_a_batch_that_does_not_divide(monkeypatch, mesh, options, message):
    fails(monkeypatch, trainer(**options), message)


def test_an_axis_that_shard_map_has(mesh):
    def run(x):
        return jaxgd.fit(trainer(), jax.random.key(0), 1).history["train_loss"] + x

    with pytest.raises(ValueError, match=r"jax\.shard_map has split 'data' itself"):
        jax.shard_map(run, in_specs=PartitionSpec(), out_specs=DATA)(np.zeros(1, np.float32))


def test_it_is_structure():
    one, other = trainer(), trainer(PartitionSpec("data"))
    assert (
        jax.tree.structure(one)
        == jax.tree.structure(other)
        == jax.tree.structure(one.replace(grad_norm=True))
    )
    assert jax.tree.structure(one) == jax.tree.structure(pickle.loads(pickle.dumps(one)))
    others = (trainer(None), trainer(PartitionSpec("model")), trainer(PartitionSpec(("data", "model"))))
    assert len({jax.tree.structure(each) for each in (one, *others)}) == 4


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_a_whole_batch_on_two_devices(kind):
    one = jaxgd.fit(trainer(None, "full"), jax.random.key(0), 2)
    with jax.set_mesh(jax.make_mesh((2,), ("data",), devices=jax.devices()[:2], axis_types=(kind,))):
        two = jaxgd.fit(trainer(DATA, "full"), jax.random.key(0), 2)
    assert two.state.params["w"].sharding.device_set == {*jax.devices()[:2]}
    np.testing.assert_allclose(two.history["train_loss"], one.history["train_loss"], rtol=1e-6)
