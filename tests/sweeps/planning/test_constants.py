"""Constants that were measured: kept for this machine alone, checked, and recorded by plans."""

import json
import warnings

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.planning import constants
from jaxgd.sweeps.planning.constants import CORE, MEASURED, core_of, keep

DEVICES = jax.devices()[:1]
SLOW = CORE._replace(compile=20.0, batch=5e-5)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    constants._read.cache_clear()
    yield tmp_path / "cache" / "jaxgd" / "constants"
    constants._read.cache_clear()


def make_trainer(hp):
    inputs = np.linspace(0, 1, 60, dtype=np.float32).reshape(20, 3)
    problem = jaxgd.regression(jaxgd.linear(3), (inputs, inputs[:, 0]))
    return jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), 5)


AXES = {"learning_rate": [0.1, 0.2], "seed": [0, 1]}


def test_what_is_kept_is_found_again(home):
    assert core_of(DEVICES) == CORE
    path = keep(SLOW, DEVICES)
    assert path.parent == home
    assert oct(home.stat().st_mode & 0o777) == "0o700"
    assert list(home.iterdir()) == [path]
    assert core_of(DEVICES) == SLOW
    content = json.loads(path.read_text())
    assert set(content["constants"]) == set(MEASURED)
    assert content["machine"]["jax"] == jax.__version__


def test_other_versions_are_planned_with_defaults(monkeypatch):
    keep(SLOW, DEVICES)
    monkeypatch.setattr(constants, "versions", lambda: {"jax": "0.0", "jaxlib": "0.0"})
    assert core_of(DEVICES) == CORE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {**c, "constants": {**c["constants"], "flop": True}}, "flop must be a number, got True"),
        (lambda c: {**c, "constants": {**c["constants"], "flop": 0}}, "flop is 0, .* by default"),
        (lambda c: {**c, "constants": {**c["constants"], "flop": 1e9}}, "flop is 1e.09, .* by default"),
        (lambda c: {**c, "constants": {**c["constants"], "lanes": 3}}, "constants must be compile, "),
        (lambda c: {**c, "constants": {}}, "constants must be compile, "),
        (lambda c: {**c, "machine": {}}, "it is of another machine"),
        (lambda c: {**c, "more": 1}, "it has not the entries machine and constants"),
        (lambda c: [c], "it has not the entries machine and constants"),
    ],
)
def test_a_damaged_file_is_ignored_with_one_warning(change, message):
    path = keep(SLOW, DEVICES)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.warns(UserWarning, match=f"is ignored, plans are made with defaults: {message}"):
        assert core_of(DEVICES) == CORE
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert core_of(DEVICES) == CORE


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"machine": NaN}', b"[" * 5000, b" " * 2**17])
def test_what_is_no_json_is_ignored(content):
    keep(SLOW, DEVICES).write_bytes(content)
    with pytest.warns(UserWarning, match="is ignored, plans are made with defaults"):
        assert core_of(DEVICES) == CORE


def test_a_folder_that_others_can_write_to_is_ignored(home):
    keep(SLOW, DEVICES)
    home.chmod(0o777)
    with pytest.warns(UserWarning, match="others can write to"):
        assert core_of(DEVICES) == CORE
    with pytest.raises(PermissionError, match="others can write to"):
        keep(SLOW, DEVICES)


def test_a_plan_records_what_it_was_made_with():
    keep(SLOW, jax.devices())
    plan = jaxgd.plan(make_trainer, AXES, 2)
    assert plan.constants == SLOW._asdict()
    assert plan.groups[0].predicted_compile_seconds > 15
    saved = json.loads(json.dumps(plan.to_dict()))
    assert jaxgd.Plan.from_dict(saved) == plan
    del saved["constants"]  # as earlier versions saved it
    assert jaxgd.Plan.from_dict(saved).constants is None


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (3, "constants of a plan must be numbers by name, got 3"),
        ({"flop": "much"}, "flop in the constants of a plan is 'much'"),
        ({"flop": True}, "flop in the constants of a plan is True"),
    ],
)
def test_constants_of_no_plan(found, message):
    saved = jaxgd.plan(make_trainer, AXES, 2).to_dict()
    with pytest.raises(TypeError, match=message):
        jaxgd.Plan.from_dict({**saved, "constants": found})


def test_a_plan_is_followed_whatever_was_measured_since(tmp_path):
    def sweep(seeds, **options):
        axes = {**AXES, "seed": seeds}
        return jaxgd.sweep(make_trainer, axes, 2, progress=False, **options)

    first = sweep([0, 1], folder=tmp_path / "kept")
    keep(SLOW._replace(step_saved=1e-4, batch_saved=4e-5, batch=9e-5), jax.devices())
    assert sweep([0, 1], plan=first.plan).plan.constants == first.plan.constants == CORE._asdict()
    wider = sweep([0, 1, 2], folder=tmp_path / "kept")
    assert wider.plan.constants == CORE._asdict()
    recipes = {group.runs: group.recipe for group in wider.plan.groups}
    assert recipes[0, 1, 3, 4] == first.plan.groups[0].recipe
    assert (sweep([0, 1]).plan.constants or {})["batch"] == 9e-5
