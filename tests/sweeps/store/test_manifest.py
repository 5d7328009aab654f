"""One commit point: whatever stops a save, the folder holds the earlier result or the later one, whole."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import jaxgd
from jaxgd.sweeps.store import format_1 as format_1_files, manifest

DATA = Path(__file__).parents[2] / "data"
FIRST, SECOND = jaxgd.load(DATA / "format_1"), jaxgd.load(DATA / "format_1_python")
NAMES = {"manifest.json", "dataset", "params"}


def is_same(result, other):
    """Whether all numbers and texts are the same, bit for bit."""
    if (result.plan, result.axes, result.spec) != (other.plan, other.axes, other.spec):
        return False
    pairs = zip(jax.tree.leaves(list(result.states)), jax.tree.leaves(list(other.states)), strict=True)
    return result.dataset.identical(other.dataset) and all(np.array_equal(a, b) for a, b in pairs)


def loaded(folder):
    """Which of the two results a folder holds, None without one."""
    try:
        result = jaxgd.load(folder)
    except FileNotFoundError:
        return None
    (found,) = [name for name, other in (("first", FIRST), ("second", SECOND)) if is_same(result, other)]
    return found


def kinds(folder):
    """What lies in a folder, without the digests in names."""
    return sorted(path.name.partition("-")[0] for path in folder.iterdir())


def format_2(folder):
    FIRST.save(folder)


def format_1(folder):
    shutil.copytree(DATA / "format_1", folder, dirs_exist_ok=True)


def nothing(folder):
    folder.mkdir(exist_ok=True)


class Killed(BaseException):
    """No handler of the save takes it."""


CALLS = [(os, "link"), (os, "replace"), (os, "unlink"), (os, "fsync"), (os, "open"), (np, "savez")]


def with_trouble(monkeypatch, save, at, stays):
    """How many calls a save makes of those that write; the one `at` fails, and with `stays` all after it."""
    made = []

    def watched(call):
        def wrapper(*arguments, **keywords):
            made.append(call)
            if len(made) - 1 == at or (stays and len(made) > at >= 0):
                raise Killed if stays else OSError(28, "No space left on device")
            return call(*arguments, **keywords)

        return wrapper

    with monkeypatch.context() as patch:
        for module, name in CALLS:
            patch.setattr(module, name, watched(getattr(module, name)))
        with contextlib.suppress(OSError, Killed):
            save()
    return len(made)


@pytest.mark.parametrize("stays", [False, True], ids=["a call fails", "the process dies"])
@pytest.mark.parametrize("start", [format_2, format_1, nothing])
def test_death_at_every_call(start, stays, tmp_path, monkeypatch):
    start(tmp_path / "counted")
    calls = with_trouble(monkeypatch, lambda: SECOND.save(tmp_path / "counted"), -1, False)
    assert calls > 10
    seen = set()
    for at in range(calls):
        folder = tmp_path / str(at)
        start(folder)
        with_trouble(monkeypatch, lambda folder=folder: SECOND.save(folder), at, stays)
        seen.add(found := loaded(folder))
        if not stays and found == "first" and start is format_2:
            assert kinds(folder) == ["dataset", "manifest.json", "params"], "a failed save leaves nothing"
        FIRST.save(folder)
        assert kinds(folder) == ["dataset", "manifest.json", "params"]
    assert seen == {None if start is nothing else "first", "second"}


KILL = """
import os, sys
from pathlib import Path
import jaxgd

data, folder = Path(sys.argv[1]), Path(sys.argv[2])
first, second = jaxgd.load(data / "format_1"), jaxgd.load(data / "format_1_python")
for at in range(16):
    first.save(folder / str(at))
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    made = []
    def watched(call):
        def wrapper(*arguments, **keywords):
            made.append(call)
            if len(made) > at:
                os._exit(9)
            return call(*arguments, **keywords)
        return wrapper
    for name in ("link", "replace", "unlink", "fsync"):
        setattr(os, name, watched(getattr(os, name)))
    second.save(folder / str(at))
    os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_process(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(jaxgd.__file__).parents[1]), "JAX_PLATFORMS": "cpu"}
    arguments = [sys.executable, "-W", "ignore", "-c", KILL, str(DATA), str(tmp_path)]
    subprocess.run(arguments, check=True, env=environment)
    found = [loaded(tmp_path / str(at)) for at in range(16)]
    assert found == sorted(found), "first, until the manifest is replaced"
    assert set(found) == {"first", "second"}


def test_a_reader_beside_a_writer(tmp_path):
    FIRST.save(tmp_path)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            SECOND.save(tmp_path)
            FIRST.save(tmp_path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until = time.monotonic() + 1
        seen = set()
        while time.monotonic() < until or len(seen) < 2:
            seen.add(loaded(tmp_path))
    finally:
        stop.set()
        writer.join()
    assert seen == {"first", "second"}


def test_a_reader_of_format_1_beside_a_writer(tmp_path, monkeypatch):
    """The new save deletes the spec first, and has not come to the parameters yet."""
    format_1(tmp_path / "old")
    SECOND.save(tmp_path / "new")
    read = format_1_files.read_text

    def delete_meanwhile(path, save):
        content = read(path, save)
        shutil.copytree(tmp_path / "new", tmp_path / "old", dirs_exist_ok=True)
        (tmp_path / "old" / "spec.json").unlink(missing_ok=True)
        return content

    monkeypatch.setattr(format_1_files, "read_text", delete_meanwhile)
    assert loaded(tmp_path / "old") == "second"


def test_two_writers(tmp_path):
    def write(result):
        for _ in range(10):
            result.save(tmp_path)

    writers = [threading.Thread(target=write, args=[result]) for result in (FIRST, SECOND)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert loaded(tmp_path) in ("first", "second")
    assert kinds(tmp_path) == ["dataset", "manifest.json", "params"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    FIRST.save(folder)
    return folder


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), kind=st.sampled_from(sorted(NAMES)))
@settings(max_examples=150, deadline=None)
def test_no_flipped_bit_changes_a_result(saved, place, bit, kind):
    (path,) = saved.glob(f"{kind}*")
    content = path.read_bytes()
    at = int(place * len(content))
    try:
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        with contextlib.suppress(ValueError):
            result = jaxgd.load(saved)
            assert kind == "manifest.json", "only there a number has two spellings, such as 1e-5 and 1E-5"
            assert is_same(result, FIRST)
    finally:
        path.write_bytes(content)


def test_a_rate_of_the_spec_that_was_changed(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "changed")
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("0.01", "0.03"))
    with pytest.raises(ValueError, match=r"manifest\.json is damaged: it does not hold what was saved"):
        jaxgd.load(folder)


def test_other_line_breaks_are_no_damage(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "formatted")
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert loaded(folder) == "first"


def test_files_of_others_stay(tmp_path):
    for name, content in {
        "dataset.npz": None,
        "params.npz": None,
        "plan.json": b'{"format": 1, "plan": "a house"}',
        "spec.json": b"[1, 2]",
        "dataset-0123456789abcdef.npz": None,
        ".jaxgd-save-mine": b"",
        ".plan.json.swp": b"",
    }.items():
        if content is None:
            np.savez(tmp_path / name, inputs=np.ones(3), about=np.frombuffer(b'{"format": 1}', np.uint8))
        else:
            (tmp_path / name).write_bytes(content)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for result in (FIRST, SECOND):
        result.save(tmp_path)
    assert loaded(tmp_path) == "second"
    for name, content in before.items():
        assert (tmp_path / name).read_bytes() == content
    assert len(list(tmp_path.iterdir())) == len(before) + 3


@pytest.mark.parametrize(
    "content", ["", "{}", '{"manifest_version": 3, "name": "a page"}', "[" * 10**5, None]
)
def test_a_manifest_of_others_is_refused(content, tmp_path):
    path = tmp_path / "manifest.json"
    path.mkdir() if content is None else path.write_text(content)
    with pytest.raises(FileExistsError, match=r"manifest\.json is not of a saved sweep, and is not replaced"):
        FIRST.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert content is None or path.read_text() == content


def test_a_link_is_replaced_and_not_followed(tmp_path):
    FIRST.save(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "manifest.json").symlink_to(tmp_path / "a" / "manifest.json")
    SECOND.save(tmp_path / "b")
    assert (loaded(tmp_path / "a"), loaded(tmp_path / "b")) == ("first", "second")


def test_format_1_beside_a_manifest_of_others(tmp_path):
    format_1(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "a page"}')
    assert loaded(tmp_path) == "first"
    with pytest.raises(FileExistsError):
        SECOND.save(tmp_path)
    assert loaded(tmp_path) == "first"


def test_what_killed_saves_of_format_1_have_left_goes(tmp_path):
    format_1(tmp_path)
    for name in ("plan.json", "dataset.npz"):
        (tmp_path / f".{name}.{'0' * 32}").write_text("")
    SECOND.save(tmp_path)
    assert kinds(tmp_path) == ["dataset", "manifest.json", "params"]


def changed(saved, folder, change):
    """A copy of a save whose manifest was changed by somebody who knows how it is sealed."""
    shutil.copytree(saved, folder)
    content = json.loads((folder / "manifest.json").read_text())
    content.pop("sha256")
    change(content)
    (folder / "manifest.json").write_text(json.dumps({**content, "sha256": manifest._digest(content)}))
    return folder


def put(*path_and_value):
    """A change of one entry."""

    def change(content):
        *path, last, value = path_and_value
        for key in path:
            content = content[key]
        content[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("format", "two"),
        put("format", None),
        put("format", -3),
        put("format", 1),
        put("spec", [1]),
        put("axes", {"seed": [0]}),
        put("axes", "learning_rate", [0.1, 0.2, 0.3]),
        put("axes", None),
        put("plan", None),
        put("plan", "epochs", "many"),
        put("plan", "num_runs", 13),
        put("plan", "groups", {}),
        put("plan", "groups", 0, "runs", [10**18]),
        put("plan", "groups", 0, "recipe", "lanes", 1.5),
        put("files", {}),
        put("files", "dataset", "name", "../dataset-0123456789abcdef.npz"),
        put("files", "dataset", "name", "/etc/passwd"),
        put("files", "dataset", "size", "1"),
        put("files", "dataset", None),
        lambda content: content["files"].update(dataset=content["files"]["params"]),
        lambda content: content.pop("plan"),
    ],
)
def test_a_manifest_that_contradicts_itself(saved, tmp_path, change):
    folder = changed(saved, tmp_path / "changed", change)
    with pytest.raises(ValueError, match=r"\.(json|npz)\b.* is damaged: \S") as error:
        jaxgd.load(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["[" * 10**5, '{"a":' * 10**5, "1" * 5000, "\ud800"], ids=range(4))
def test_a_manifest_that_is_hard_to_read(saved, tmp_path, content):
    folder = shutil.copytree(saved, tmp_path / "hard")
    (folder / "manifest.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"manifest\.json is damaged: \S"):
        jaxgd.load(folder)
