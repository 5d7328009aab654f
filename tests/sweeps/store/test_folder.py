"""A sweep's result written to a folder and read again."""

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import jaxgd
from jaxgd.sweeps.store import files, manifest

INPUTS = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
LABELS = INPUTS[:, 0] > 0
PROBLEM = jaxgd.classification(jaxgd.linear(2, 2), (INPUTS, LABELS), (INPUTS, LABELS))
DEEP = jaxgd.classification(jaxgd.mlp([2, 3, 2]), (INPUTS, LABELS), (INPUTS, LABELS))


def half(hp):
    return PROBLEM if hp.depth == 1 else DEEP


@pytest.fixture(scope="module")
def result():
    return jaxgd.sweep(
        lambda hp: jaxgd.trainer(half(hp), hp.optimizer(hp.learning_rate), hp.batch_size),
        {
            "optimizer": [jaxgd.sgd, jaxgd.adam],
            "depth": [1, 2],
            "batch_size": ["full"],
            "learning_rate": np.array([0.1, 1e30]),
        },
        epochs=2,
        progress=False,
    )


@pytest.fixture
def folder(result, tmp_path):
    result.save(tmp_path / "runs" / "first")
    return tmp_path / "runs" / "first"


def all_coords(result):
    return [
        dict(zip(result.axes, values, strict=True))
        for values in np.stack(
            np.meshgrid(*(range(len(v)) for v in result.axes.values()), indexing="ij"), -1
        ).reshape(-1, len(result.axes))
    ]


def test_everything_comes_back(result, folder):
    again = jaxgd.load(folder)
    xarray.testing.assert_identical(again.dataset, result.dataset)
    for name, variable in result.dataset.variables.items():
        assert again.dataset.variables[name].dtype == variable.dtype
    assert again.plan == result.plan
    assert again.spec is None
    assert repr(again) == repr(result)
    for places in all_coords(result):
        coords = {name: result.axes[name][place] for name, place in places.items()}
        jax.tree.map(np.testing.assert_array_equal, again.params(**coords), result.params(**coords))
        assert again.model_state(**coords) is None


def test_a_saved_plan_is_followed_again(tmp_path):
    def run(**options):
        axes = {"point": [{"rate": 0.1, "size": 4}, {"rate": 0.2, "size": "full"}], "seed": [0, 1]}
        return jaxgd.sweep(
            lambda hp: jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.rate), hp.size),
            axes,
            epochs=2,
            progress=False,
            **options,
        )

    first = run()
    first.save(tmp_path)
    again = jaxgd.load(tmp_path)
    xarray.testing.assert_identical(again.dataset, first.dataset)
    assert again.axes == first.axes
    replayed = run(plan=again.plan)
    np.testing.assert_array_equal(replayed.dataset.valid_loss, first.dataset.valid_loss)
    np.testing.assert_array_equal(again.params(rate=0.2, seed=1)["w"], first.params(point=1, seed=1)["w"])


def test_axes_keep_what_was_typed(folder):
    again = jaxgd.load(folder)
    assert again.axes == {
        "optimizer": ["sgd", "adam"],
        "depth": [1, 2],
        "batch_size": ["full"],
        "learning_rate": [0.1, 1e30],
    }
    full = again.params(optimizer="adam", depth=1, batch_size="full", learning_rate=0.1)
    np.testing.assert_array_equal(
        full["w"], again.params(optimizer=jaxgd.adam, depth=1, batch_size=12, learning_rate=0.1)["w"]
    )


def test_saving_again_replaces_it(result, folder):
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    with_spec = jaxgd.SweepResult(
        result.dataset, result.plan, result.axes, result.states, {"epochs": 2, "axes": {"seed": [0]}}
    )
    (folder / "notes.txt").write_text("mine")
    with_spec.save(folder)
    assert jaxgd.load(folder).spec == {"epochs": 2, "axes": {"seed": [0]}}
    result.save(folder)
    assert jaxgd.load(folder).spec is None
    assert sorted(path.name for path in folder.iterdir()) == sorted([*first, "notes.txt"])
    for name in set(first) - {"manifest.json"}:
        assert (folder / name).read_bytes() == first[name], "the same arrays are the same files"


def test_odd_dtypes_attributes_and_states(result, tmp_path):
    dataset = result.dataset.assign(
        half=("optimizer", np.array([1.5, 2.5], jnp.bfloat16)),
        is_good=("optimizer", np.array([True, False])),
        mixed=("optimizer", np.array(["None", 0.5], object)),
        missing=("optimizer", np.array([np.nan, -0.0], np.float16)),
    ).assign_coords(note=("optimizer", ["größer", ""]))
    dataset.attrs = {"version": "1", "sizes": (1, np.int64(2)), "rate": np.float32(0.5), "nothing": None}
    dataset.updates.attrs = {"unit": "updates"}
    states = [({"w": jnp.ones(2, jnp.bfloat16), "k": np.uint32(i)}, (np.int8(i),)) for i in range(8)]
    jaxgd.SweepResult(dataset, result.plan, result.axes, states).save(tmp_path)
    for path in tmp_path.glob("*.npz"):
        with np.load(path) as file:
            assert {file[key].dtype.kind for key in file.files} <= set("biufcU"), "no dtype that NumPy lacks"
    again = jaxgd.load(tmp_path)
    assert again.dataset.attrs == {"version": "1", "sizes": [1, 2], "rate": 0.5, "nothing": None}
    assert again.dataset.updates.attrs == {"unit": "updates"}
    dataset.attrs = again.dataset.attrs
    xarray.testing.assert_identical(again.dataset.drop_vars("half"), dataset.drop_vars("half"))
    assert again.dataset.half.dtype == jnp.bfloat16
    assert again.dataset.half.values.tolist() == [1.5, 2.5]
    assert again.dataset.mixed.values.tolist() == ["None", 0.5]
    assert np.signbit(again.dataset.missing.values[1])
    params, state = again.states[5]
    assert (params["w"].dtype, params["k"], state) == (jnp.bfloat16, 5, (5,))
    assert params["k"].dtype == np.uint32


def test_what_cannot_be_saved_leaves_the_folder_alone(result, tmp_path):
    odd = result.dataset.assign_attrs(function=len)
    with pytest.raises(TypeError, match="attribute 'function' of the dataset cannot be saved"):
        jaxgd.SweepResult(odd, result.plan, result.axes, result.states).save(tmp_path / "new")
    states = [({"w": jax.random.key(0)}, None)] * 8
    with pytest.raises(TypeError, match="only numbers can be saved"):
        jaxgd.SweepResult(result.dataset, result.plan, result.axes, states).save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_the_earlier_save(result, folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.np, "savez", fail)
    with pytest.raises(OSError, match="No space left"):
        result.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_like_gives_nodes_of_other_libraries(result, tmp_path):
    class Own:
        def __init__(self, w):
            self.w = w

    jax.tree_util.register_pytree_node(Own, lambda own: ((own.w,), None), lambda _, children: Own(*children))
    states = [({"layer": Own(np.full(2, i, np.float32))}, None) for i in range(8)]
    jaxgd.SweepResult(result.dataset, result.plan, result.axes, states).save(tmp_path)
    xarray.testing.assert_identical(jaxgd.load(tmp_path).dataset, result.dataset)
    with pytest.raises(ValueError, match=r"hold a .*Own, which a file does not keep"):
        jaxgd.load(tmp_path).states[0]
    assert jaxgd.load(tmp_path, like={"layer": Own(0)}).states[3][0]["layer"].w.tolist() == [3, 3]
    problem = jaxgd.Problem(lambda key: {"layer": Own(jnp.zeros(2))}, PROBLEM.loss, {"x": INPUTS})
    assert jaxgd.load(tmp_path, like=problem).states[3][0]["layer"].w.tolist() == [3, 3]


def test_a_folder_without_a_sweep(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("nowhere", "file"):
        with pytest.raises(FileNotFoundError, match=rf"'.*{name}' has no manifest\.json: no sweep was saved"):
            jaxgd.load(tmp_path / name)


def file_of(folder, kind):
    """The file of a save that starts so."""
    (found,) = folder.glob(f"{kind}*")
    return found


@pytest.mark.parametrize("kind", ["params", "dataset"])
def test_a_missing_file(folder, kind):
    name = file_of(folder, kind).name
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"first' is not complete: {name} is missing"):
        jaxgd.load(folder)


@pytest.mark.parametrize("kind", ["dataset", "params", "manifest"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_file(folder, kind, damage):
    name = file_of(folder, kind).name
    content = (folder / name).read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "flipped": content[:middle]
        + bytes(255 - byte for byte in content[middle : middle + 40])
        + content[middle + 40 :],
        "empty": b"",
        "other": b'{"format": 1}',
    }
    (folder / name).write_bytes(damaged[damage])
    with pytest.raises(ValueError, match=rf"{name} is damaged: \S") as error:
        jaxgd.load(folder)
    assert "\n" not in str(error.value)


def test_a_newer_format(result, tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "FORMAT", 4)
    result.save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has format 4, and this version of jaxgd knows 3: update jaxgd"):
        jaxgd.load(tmp_path)


def test_there_is_no_pickle(folder):
    for path in folder.glob("*.npz"):
        with np.load(path, allow_pickle=False) as file:
            assert all(file[key].dtype != object for key in file.files)
    assert json.loads((folder / "manifest.json").read_text())["plan"]["groups"]


def test_a_manifest_says_what_is_there(result, folder):
    found = json.loads((folder / "manifest.json").read_text())
    assert (found["format"], found["device"], found["spec"]) == (3, result.plan.device, None)
    assert found["versions"]["jaxgd"] == jaxgd.__version__
    assert found["axes"]["batch_size"] == ["full"]
    for kind, entry in found["files"].items():
        content = (folder / entry["name"]).read_bytes()
        assert entry["size"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["name"] == f"{kind}-{entry['sha256'][:16]}.npz"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["manifest.json", *(entry["name"] for entry in found["files"].values())]
    )


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_names_that_no_folder_has(result, name):
    for call in (result.save, jaxgd.load):
        with pytest.raises(ValueError, match=r"folder is '.*'; the name of a folder is needed"):
            call(name)
