"""Saves and plans of earlier formats, which load for ever: format 1 wrote the folders under tests/data."""

import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd

DATA = Path(__file__).parents[2] / "data"
EXPECTED = json.loads((DATA / "format_1.json").read_text())
FOLDERS = sorted(EXPECTED)


@pytest.mark.parametrize("name", FOLDERS)
def test_histories_and_states_are_what_they_were(name):
    result, expected = jaxgd.load(DATA / name), EXPECTED[name]
    assert result.dataset.valid_loss.values.ravel().tolist() == expected["valid_loss"]
    assert result.dataset.updates.values.ravel().tolist() == expected["updates"]
    for state, (total, count, last) in zip(result.states, expected["leaves"], strict=True):
        leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(state)]
        numbers = np.concatenate([leaf.ravel() for leaf in leaves])
        assert round(sum(float(leaf.sum()) for leaf in leaves), 9) == total
        assert (numbers.size, numbers[-1]) == (count, last)


def test_axes_plan_and_spec():
    result = jaxgd.load(DATA / "format_1")
    assert result.axes == {"batch_size": [32, 128, "full"], "learning_rate": [0.01, 0.1], "seed": [0, 1]}
    assert result.spec == {
        "data": "breast_cancer",
        "epochs": 3,
        "fixed": {"optimizer": "momentum", "model": "linear"},
        "axes": {"batch_size": [32, 128, "full"], "learning_rate": [0.01, 0.1], "seed": [0, 1]},
    }
    assert (result.plan.num_runs, result.plan.epochs, result.plan.device) == (12, 3, "2 x cpu")
    assert result.params(batch_size="full", learning_rate=0.1, seed=1)["w"].shape == (30, 2)
    assert result.best("valid_loss").coords["batch_size"] == 32


def test_odd_dtypes_and_axes():
    result = jaxgd.load(DATA / "format_1_python")
    assert result.spec is None
    assert result.axes == {"batch_size": [4, "full"], "momentum": ["None", 0.5], "learning_rate": [0.01, 0.1]}
    leaves = jax.tree.leaves(list(result.states))
    assert any(leaf.dtype == jnp.bfloat16 for leaf in leaves)
    assert all(state is not None for _, state in result.states)


def test_a_plan_is_accepted():
    saved = json.loads((DATA / "plan_of_format_1.json").read_text())
    plan = jaxgd.Plan.from_dict(saved)
    assert plan == jaxgd.load(DATA / "format_1_python").plan
    assert sorted(run for group in plan.groups for run in group.runs) == list(range(plan.num_runs))
    assert jaxgd.Plan.from_dict(plan.to_dict()) == plan


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(DATA / "format_1", tmp_path / "old")


@pytest.mark.parametrize("name", ["params.npz", "plan.json"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"old' is not complete: {name} is missing"):
        jaxgd.load(folder)


@pytest.mark.parametrize("name", ["dataset.npz", "params.npz", "plan.json", "spec.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "deep"])
def test_a_damaged_file(folder, name, damage):
    content = (folder / name).read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "flipped": content[:middle]
        + bytes(255 - byte for byte in content[middle : middle + 40])
        + content[middle + 40 :],
        "empty": b"",
        "other": b'{"format": 1}',
        "deep": b"[" * 10**5,
    }
    (folder / name).write_bytes(damaged[damage])
    with pytest.raises(ValueError, match=rf"{name} is damaged: \S") as error:
        jaxgd.load(folder)
    assert "\n" not in str(error.value)


def test_files_of_two_saves(folder):
    for name in ("params.npz", "plan.json"):
        kept = (folder / name).read_bytes()
        shutil.copy(DATA / "format_1_python" / name, folder / name)
        with pytest.raises(
            ValueError, match=rf"old/{name} and dataset\.npz beside it are of two different saves"
        ):
            jaxgd.load(folder)
        (folder / name).write_bytes(kept)
    jaxgd.load(folder)


def rewritten(folder, name, change, **options):
    """An `.npz` of the folder written anew, its arrays and its description changed."""
    with np.load(folder / name) as file:
        arrays = dict(file)
    about = json.loads(arrays.pop("about").tobytes())
    change(arrays, about)
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    options.get("write", np.savez)(folder / name, **arrays)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("params.npz", lambda arrays, about: arrays.update(places=arrays["places"] + 20)),
        ("params.npz", lambda arrays, about: arrays.update(places=arrays["places"] - 1)),
        ("params.npz", lambda arrays, about: arrays.update(places=arrays["places"] * 1.0)),
        ("params.npz", lambda arrays, about: arrays.update(places=arrays["places"][:5])),
        ("params.npz", lambda arrays, about: arrays.update({"0/0": arrays["0/0"].astype(np.float64)})),
        ("params.npz", lambda arrays, about: arrays.update(more=np.ones(2))),
        ("params.npz", lambda arrays, about: about["groups"][0].pop("trees")),
        ("params.npz", lambda arrays, about: about["groups"][0]["trees"][0].update(tree=[7])),
        ("params.npz", lambda arrays, about: about["groups"][0]["trees"][0].update(tree={"list": [0, 7]})),
        ("params.npz", lambda arrays, about: about["groups"][0]["trees"][0].update(leaves=1, tree=0)),
        ("dataset.npz", lambda arrays, about: about["axes"].update(learning_rate=[1, 2, 3])),
        ("dataset.npz", lambda arrays, about: about["axes"].update(depth=[1])),
        ("dataset.npz", lambda arrays, about: about["variables"].pop()),
        ("dataset.npz", lambda arrays, about: about.update(variables={})),
        ("dataset.npz", lambda arrays, about: about.update(format=-3)),
        ("dataset.npz", lambda arrays, about: about.update(format="two")),
        ("dataset.npz", lambda arrays, about: about.update(format=None)),
    ],
)
def test_what_a_file_says_is_what_it_holds(folder, name, change):
    rewritten(folder, name, change)
    with pytest.raises(ValueError, match=rf"{name} is damaged: \S") as error:
        jaxgd.load(folder)
    assert "\n" not in str(error.value)


def test_nothing_that_was_compressed_is_read(folder):
    add = {"0/0": np.zeros((12, 30, 2), np.float32)}
    rewritten(folder, "params.npz", lambda arrays, about: arrays.update(add), write=np.savez_compressed)
    with pytest.raises(ValueError, match=r"params\.npz is damaged: the array '\S+' is compressed"):
        jaxgd.load(folder)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (35184372088832,), }",
        "(" * 9000,
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    ],
    ids=["large", "brackets", "objects", "negative"],
)
def test_hostile_headers(folder, header):
    text = header.encode().ljust(9200) + b"\n"
    with zipfile.ZipFile(folder / "params.npz") as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["places.npy"] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(folder / "params.npz", "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    with pytest.raises(ValueError, match=r"params\.npz is damaged: \S"):
        jaxgd.load(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the plan was made on")
def test_a_plan_is_followed():
    inputs = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    problem = jaxgd.regression(jaxgd.linear(3, 1), (inputs, inputs[:, 0]), (inputs, inputs[:, 1]))
    axes = {"batch_size": [4, "full"], "momentum": [None, 0.5], "learning_rate": [0.01, 0.1]}
    saved = json.loads((DATA / "plan_of_format_1.json").read_text())
    for group in saved["groups"]:
        group["recipe"]["devices"] = jax.device_count()
    plan = jaxgd.Plan.from_dict(saved)

    def make(hp):
        return jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate, momentum=hp.momentum), hp.batch_size)

    result = jaxgd.sweep(make, axes, 2, plan=plan, progress=False)
    followed = {(group.runs, group.recipe) for group in result.plan.groups}
    assert followed == {(group.runs, group.recipe) for group in plan.groups}
    alone = jaxgd.fit(
        make(SimpleNamespace(batch_size=4, momentum=0.5, learning_rate=0.1)), jax.random.key(0), 2
    )
    last = result.dataset.valid_loss.sel(batch_size=4, learning_rate=0.1).isel(momentum=1, epoch=-1)
    assert float(last) == float(alone.history["valid_loss"][-1])


def test_format_2_holds_what_it_was_given():
    result, before = jaxgd.load(DATA / "format_2"), jaxgd.load(DATA / "format_1")
    assert result.dataset.identical(before.dataset)
    assert (result.plan, result.axes, result.spec) == (before.plan, before.axes, before.spec)
    jax.tree.map(np.testing.assert_array_equal, list(result.states), list(before.states))
