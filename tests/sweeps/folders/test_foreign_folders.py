"""Folders of a kept sweep that somebody else has changed, who knows how a manifest is sealed."""

import contextlib
import hashlib
import json
import shutil

import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.folders.status import folder_status
from jaxgd.sweeps.store import manifest
from jaxgd.sweeps.store.files import UnreadableError

INPUTS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(3), (INPUTS, INPUTS[:, 0]))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with a sweep of two programs."""
    folder = tmp_path_factory.mktemp("kept")
    axes = {"batch_size": [6, "full"], "learning_rate": [0.1, 0.2]}

    def make_trainer(hp):
        return jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), hp.batch_size)

    plan = jaxgd.plan(make_trainer, axes, 2, merge=False)
    jaxgd.sweep(make_trainer, axes, 2, progress=False, folder=folder, plan=plan)
    return folder


def seal(folder, content):
    content.pop("sha256", None)
    text = json.dumps({**content, "sha256": manifest._digest(content)})
    (folder / "manifest.json").write_text(text)


def put(*path_and_value):
    """A change of one entry of the manifest."""

    def change(folder):
        content = whole = json.loads((folder / "manifest.json").read_text())
        *path, last, value = path_and_value
        for key in path:
            content = content[key]
        content[last] = value
        seal(folder, whole)

    return change


def rewritten(**arrays):
    """A change of arrays of the first unit's file, None for one that goes."""

    def change(folder):
        content = json.loads((folder / "manifest.json").read_text())
        entry = content["files"][content["units"][0]["file"]]
        with np.load(folder / entry["name"]) as file:
            held = {**file, **{name.replace("__", "/"): array for name, array in arrays.items()}}
        np.savez(folder / "new.npz", **{name: array for name, array in held.items() if array is not None})
        data = (folder / "new.npz").read_bytes()
        (folder / entry["name"]).write_bytes(data)
        entry.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        seal(folder, content)

    return change


def swapped(folder):
    content = json.loads((folder / "manifest.json").read_text())
    one, two = content["units"]
    one["file"] = two["file"]
    seal(folder, content)


CHANGES = [
    put("units", 0, "runs", [0.0, 1.0]),
    put("units", 0, "runs", [0]),
    put("units", 0, "runs", [0, 0]),
    put("units", 0, "identity", None),
    put("units", 0, "identity", {"program": 1}),
    put("units", 0, "program", 7),
    put("units", 0, "more", 1),
    put("units", {}),
    put("files", "more", {"name": f"unit-{'0' * 16}.npz", "size": 1, "sha256": ""}),
    put("files", "unit 0", "size", "many"),
    put("axes", "learning_rate", [[0.1], 0.2]),
    put("axes", "learning_rate", [{}, 0.2]),
    put("axes", "learning_rate", [0.1]),
    put("clock", "no"),
    put("measured", "train_loss"),
    put("num_examples", 1.5),
    put("spec", [1]),
    put("plan", "groups", 0, "recipe", "kind", "all"),
    put("plan", "groups", 0, "recipe", "branches", 1.5),
    put("plan", "groups", 0, "runs", [0, 1, 2]),
    put("plan", "groups", 0, "predicted_run_seconds", "x"),
    put("plan", "seconds", "x"),
    put("plan", "versions", {"jax": 1}),
    rewritten(status=None),
    rewritten(status=np.array([0, 99])),
    rewritten(status=np.array([0.0, 1.0])),
    rewritten(history__0=np.full((2, 2), "x")),
    rewritten(history__0=np.zeros((2, 3))),
    rewritten(states__places=np.array([[0, 1], [0, 2]])),
    rewritten(states__places=np.array([[-1, -1], [0, 1]])),
    rewritten(more=np.zeros(2)),
    swapped,
]


@pytest.mark.parametrize("place", range(len(CHANGES)))
def test_what_a_folder_says_is_checked_when_it_is_read(place, kept, tmp_path):
    folder = shutil.copytree(kept, tmp_path / "changed")
    CHANGES[place](folder)
    with pytest.raises(ValueError, match=r"(manifest\.json|unit-\w+\.npz) is damaged: \S") as error:
        jaxgd.load(folder)
    assert "\n" not in str(error.value)
    with contextlib.suppress(UnreadableError):
        assert folder_status(folder, check=True).damaged
