"""A folder that several processes share: parts of one sweep, to the bits of the whole."""

import re
import signal
import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.folders.opening import ContradictionError
from jaxgd.sweeps.folders.status import folder_status
from jaxgd.sweeps.planning import cutting
from jaxgd.sweeps.store.manifest import MANIFEST, read_manifest
from jaxgd.sweeps.store.unit_files import is_shared

PROBLEM = jaxgd.classification(jaxgd.mlp([64, 8, 10]), *jaxgd.datasets.load("digits"))
AXES = {"batch_size": [64, 256], "learning_rate": [0.01, 0.1, 0.5, 1e30], "seed": [0, 1, 2]}
UNIT = re.compile(r"unit-[0-9a-f]{16}-[0-9a-f]{64}\.npz")


def make(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.momentum(hp.learning_rate), hp.batch_size)


# Several lanes at once, of one seed: what is given is cut as it is.
PLAN = jaxgd.plan(make, AXES, 2, merge=True, width=2)


def train(**options):
    return jaxgd.sweep(make, AXES, 2, progress=False, **options)


def part(folder, number, of=3, **options):
    return train(folder=folder, part=(number, of), plan=PLAN, **options)


@pytest.fixture
def small_units(monkeypatch):
    monkeypatch.setattr(cutting, "_LEAST_SECONDS", 1e-6)


@pytest.fixture(scope="module")
def whole():
    return train(plan=PLAN)


@pytest.fixture
def shared(tmp_path, small_units):
    """A folder in which all three parts are done."""
    for number in (2, 1, 3):
        part(tmp_path / "out", number)
    return tmp_path / "out"


def same(one, other):
    assert set(one.dataset.variables) == set(other.dataset.variables)
    for name in one.dataset.variables:
        np.testing.assert_array_equal(one.dataset[name].values, other.dataset[name].values)
    for left, right in zip(one.states, other.states, strict=True):
        for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
            np.testing.assert_array_equal(a, b)


def units_in(folder):
    return sorted(path.name for path in folder.iterdir() if UNIT.fullmatch(path.name))


def test_parts_together_have_the_bits_of_the_whole(shared, whole):
    same(jaxgd.load(shared), whole)


def test_a_folder_of_parts_has_units_and_nothing_else(shared):
    units = units_in(shared)
    assert len(units) >= 3
    assert sorted(path.name for path in shared.iterdir()) == sorted([MANIFEST, *units])
    assert is_shared(read_manifest(shared))


def test_a_part_has_its_own_runs_and_those_that_were_there(tmp_path, small_units):
    first = part(tmp_path / "out", 1, of=2)
    assert 0 < first.num_ended < first.dataset.status.size
    assert part(tmp_path / "out", 2, of=2).num_ended == first.dataset.status.size
    missing = np.argwhere((first.dataset.status == "not run").values)[0]
    names = zip(AXES, missing, strict=True)
    point = {name: AXES[name][place] for name, place in names}
    with pytest.raises(ValueError, match="was not run"):
        first.params(**point)


def test_a_part_that_is_called_again_trains_nothing(shared, whole, monkeypatch):
    before = {path.name: path.stat().st_mtime_ns for path in shared.iterdir()}
    monkeypatch.setattr("jaxgd.sweeps.engine.driver.Driver.run", None)
    same(part(shared, 2), whole)
    assert {path.name: path.stat().st_mtime_ns for path in shared.iterdir()} == before


def test_what_is_gone_or_damaged_is_trained_again_by_its_part_alone(shared, whole):
    first, second, *_ = units = units_in(shared)
    content = (shared / second).read_bytes()
    (shared / first).unlink()
    (shared / second).write_bytes(content[:-1] + b"?")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in (1, 2, 3):
            part(shared, number)
    assert "is damaged: it does not hold what was saved" in str(caught[0].message)
    assert units_in(shared) == units
    assert (shared / second).read_bytes() == content
    same(jaxgd.load(shared), whole)


def test_a_sweep_without_a_part_trains_what_is_left(tmp_path, small_units, whole):
    part(tmp_path / "out", 1)
    same(train(folder=tmp_path / "out", plan=PLAN), whole)
    assert is_shared(read_manifest(tmp_path / "out"))


def test_other_parts_may_go_on_with_it(tmp_path, small_units, whole):
    part(tmp_path / "out", 1)
    for number in (1, 2):
        result = part(tmp_path / "out", number, of=2)
    same(result, whole)


def test_status_of_parts(tmp_path, small_units):
    result = part(tmp_path / "out", 1)
    found = folder_status(tmp_path / "out", check=True)
    assert (found.num_runs, found.num_ended, found.damaged) == (24, result.num_ended, [])
    assert found.words["diverged"] > 0
    assert found.seconds_left is None  # what units took, their files do not say


def test_a_plan_that_is_given_is_followed(tmp_path, small_units):
    plan = jaxgd.plan(make, AXES, 2, merge=False, width=1)
    for number in (1, 2):
        result = train(folder=tmp_path / "out", part=(number, 2), plan=plan)
    same(result, train(plan=plan))
    with pytest.raises(ContradictionError, match="another plan"):
        train(folder=tmp_path / "out", part=(1, 2), plan=jaxgd.plan(make, AXES, 2, merge=True))


def test_parts_that_disagree_are_refused(shared):
    with pytest.raises(ContradictionError, match="epochs was 2 there, and is 3 now"):
        jaxgd.sweep(make, AXES, 3, progress=False, folder=shared, part=(1, 3))
    fewer = AXES | {"seed": [0, 1]}
    with pytest.raises(ContradictionError, match="axis 'seed' was"):
        jaxgd.sweep(make, fewer, 2, progress=False, folder=shared, part=(1, 3))
    more = AXES | {"seed": [0, 1, 2, 3]}
    with pytest.raises(ContradictionError, match="24 runs that several processes share, and 32 are asked"):
        jaxgd.sweep(make, more, 2, progress=False, folder=shared, part=(1, 3))


def test_other_code_is_refused(tmp_path, small_units):
    part(tmp_path / "out", 1)

    def other(hp):
        return jaxgd.trainer(PROBLEM, jaxgd.nesterov(hp.learning_rate), hp.batch_size)

    with pytest.raises(ContradictionError, match="what has changed is the code"):
        jaxgd.sweep(other, AXES, 2, progress=False, folder=tmp_path / "out", part=(2, 3))


def test_a_folder_of_one_process_is_none_of_parts(tmp_path):
    train(folder=tmp_path / "out")
    with pytest.raises(ContradictionError, match="that one process trains"):
        part(tmp_path / "out", 1)


def test_a_result_that_is_saved_there_replaces_the_units(shared, whole):
    jaxgd.load(shared).save(shared)
    assert not units_in(shared)
    same(jaxgd.load(shared), whole)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"part": (1, 2)}, "part needs folder="),
        ({"part": (1, 2), "folder": "out", "replace": True}, "with part, delete the folder"),
        ({"part": (1, 2), "folder": "out", "clock": True}, "with part, use result.clocked"),
        ({"part": (3, 2), "folder": "out"}, "from 1 to 2"),
        ({"part": (1, 2), "folder": "out", "executor": 1}, "part or executor, not both"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, monkeypatch, options, match):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError), match=match):
        train(**options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_told_of_once(tmp_path, small_units, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxgd.sweeps.folders.shared_keeper.put_unit", full)
    with (
        pytest.warns(
            UserWarning, match=r"out cannot be written \(No space left on device\): the sweep goes on"
        ),
        pytest.raises(OSError, match="the result was saved in") as caught,
    ):
        part(tmp_path / "out", 1)
    assert caught.value.result.num_ended > 0


SPEC = """
data = "digits"
epochs = 40
fixed = { optimizer = "adam", model = "mlp", width = 64 }
axes = { batch_size = [8, 64], learning_rate = [0.001, 0.003, 0.01, 0.03], seed = [0, 1, 2] }
"""


@pytest.mark.slow
def test_four_processes_of_which_two_are_killed(tmp_path):
    """Sent again, they train what is not there; together they have the bits of the whole sweep."""
    (tmp_path / "spec.toml").write_text(SPEC)

    def send(number):
        arguments = ["sweep", "spec.toml", "--out", "out", "--part", f"{number}/4"]
        return subprocess.Popen(
            [sys.executable, "-m", "jaxgd", *arguments], cwd=tmp_path, stdout=subprocess.DEVNULL
        )

    processes = {number: send(number) for number in (1, 2, 3, 4)}
    killed = (2, 3)
    for number in killed:
        with pytest.raises(subprocess.TimeoutExpired):
            processes[number].wait(timeout=4 if number == 2 else 1)
        processes[number].send_signal(signal.SIGKILL)
    for number, process in processes.items():
        assert process.wait() == (-signal.SIGKILL if number in killed else 0)
    there = len(units_in(tmp_path / "out"))
    for number in killed:
        assert send(number).wait() == 0
    assert len(units_in(tmp_path / "out")) > there
    one = [sys.executable, "-m", "jaxgd", "sweep", "spec.toml", "--out", "one"]
    subprocess.run(one, cwd=tmp_path, check=True, capture_output=True)
    whole, parts = jaxgd.load(tmp_path / "one"), jaxgd.load(tmp_path / "out")
    assert parts.num_ended == 24
    for name in ("valid_loss", "train_loss", "status", "updates"):
        np.testing.assert_array_equal(parts.dataset[name].values, whole.dataset[name].values)
    report = [sys.executable, "-m", "jaxgd", "report", "out", "--out", "page.html"]
    subprocess.run(report, cwd=tmp_path, check=True, capture_output=True)
    status = [sys.executable, "-m", "jaxgd", "status", "out"]
    said = subprocess.run(status, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.startswith("24 of 24 runs have ended")
