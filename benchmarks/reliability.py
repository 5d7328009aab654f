"""What a kept sweep survives: kills, full saves, rot, other readers and writers, folders of somebody else.

    python benchmarks/reliability.py                          # everything, with the counts of the docs
    python benchmarks/reliability.py --only flips --trials 50

Each experiment prints one line of counts. What went wrong is in capitals; the exit code is then 1. Work is
killed in processes that are forked from this one, which has imported JAX and computed nothing.
"""

import argparse
import contextlib
import copy
import functools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxgd
from jaxgd.sweeps.engine.driver import Driver
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.folders import keeper
from jaxgd.sweeps.folders.status import folder_status
from jaxgd.sweeps.store import manifest as manifests
from jaxgd.sweeps.store.lock import FolderInUseError

FORK = multiprocessing.get_context("fork")
OK, WRONG, REFUSED = 0, 1, 3
AXES = {"batch_size": [4, 16, "full"], "learning_rate": [0.001, 0.01, 1e30], "seed": [0, 1, 2]}
KEPT_AXES = {"batch_size": [16, 4], "learning_rate": [0.01, 0.1]}
EPOCHS = 600
MANIFEST = manifests.MANIFEST


# Processes that may die.


def begin(work: Callable[..., Any], *arguments: Any) -> multiprocessing.process.BaseProcess:
    """A process that does the work; its exit code is the number that the work gives, if any."""
    process = FORK.Process(target=_exit_with, args=(work, *arguments))
    process.start()
    return process


def _exit_with(work: Callable[..., Any], *arguments: Any) -> None:
    code = WRONG
    warnings.simplefilter("ignore")
    try:
        found = work(*arguments)
        code = found if isinstance(found, int) else OK
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


def done(work: Callable[..., Any], *arguments: Any) -> int | None:
    """The exit code of work in a process of its own."""
    process = begin(work, *arguments)
    process.join()
    return process.exitcode


@contextlib.contextmanager
def folder_for(name: str) -> Iterator[Path]:
    """An empty folder that goes away."""
    with tempfile.TemporaryDirectory(prefix=f"jaxgd-{name}-") as folder:
        yield Path(folder)


_bad: list[str] = []


def tell(name: str, counts: Counter, text: str = "") -> None:
    """Print the counts of an experiment in one line."""
    words = ", ".join(f"{count} {word}" for word, count in counts.items())
    _bad.extend(word for word in counts if word.split(" ")[0].isupper())
    print(f"{name}: {sum(counts.values())} trials: {words}{text and '; '}{text}", flush=True)


# The sweep that is kept: a linear model on 200 examples.


def make_problem() -> jaxgd.Problem:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(200, 5)).astype(np.float32)
    targets = inputs @ generator.normal(size=5).astype(np.float32)
    return jaxgd.regression(jaxgd.linear(5), (inputs, targets), (inputs[:50], targets[:50]))


def train(folder: Path | None, axes: dict = AXES, pace: bool = True, **options: Any) -> jaxgd.SweepResult:
    """The sweep, in many short calls with a checkpoint between them where it sets the pace."""
    if pace:
        Driver.call_seconds, keeper._EVERY, keeper._COST = 0.01, 0.05, 1.0
    problem = make_problem()

    def make_trainer(hp):
        return jaxgd.trainer(problem, jaxgd.momentum(hp.learning_rate), hp.batch_size)

    keywords = {"progress": False, "folder": folder, **options}
    return jaxgd.sweep(make_trainer, axes, keywords.pop("epochs", EPOCHS), **keywords)


def same(result: jaxgd.SweepResult, other: jaxgd.SweepResult) -> bool:
    """Whether all numbers and words are the same, bit for bit."""
    pairs = zip(jax.tree.leaves(list(result.states)), jax.tree.leaves(list(other.states)), strict=True)
    return result.dataset.equals(other.dataset) and all(np.array_equal(a, b) for a, b in pairs)


def is_resumed(folder: Path, reference: Path) -> int:
    """OK where the sweep that goes on in the folder comes to the bits of the reference."""
    expected = jaxgd.load(reference)
    return OK if same(train(folder), expected) and same(jaxgd.load(folder), expected) else WRONG


def wait_for(path: Path, process: multiprocessing.process.BaseProcess) -> float:
    """When the file is there, or the process has ended."""
    while not path.exists() and process.is_alive():
        time.sleep(0.001)
    return time.monotonic()


def sigkill(trials: int) -> None:
    """SIGKILL at random moments of a sweep with checkpoints; then the same call goes on."""
    with folder_for("kill") as root:
        done(train, root / "warm")
        whole = begin(train, root / "whole")
        begun = wait_for(root / "whole" / MANIFEST, whole)
        whole.join()
        seconds, counts, standing = time.monotonic() - begun, Counter(), Counter()
        for trial in range(trials):
            folder = root / str(trial)
            process = begin(train, folder)
            wait_for(folder / MANIFEST, process)
            time.sleep(random.uniform(0, seconds))
            process.kill()
            process.join()
            standing["checkpoint"] += bool(list(folder.glob("checkpoint-*")))
            standing["ended"] += not process.exitcode
            counts[
                "resumed bitwise equal" if done(is_resumed, folder, root / "whole") == OK else "WRONG"
            ] += 1
        text = f"{standing['checkpoint']} with a checkpoint, {standing['ended']} had come to the end"
        tell("sigkill", counts, f"{text}; the sweep took {seconds:.1f} s")


# Saves that are killed, and readers beside writers.


def two_results(root: Path) -> None:
    """Two saved results and a kept sweep of more runs, to be copied."""
    train(None, {"batch_size": [16], "learning_rate": [0.01, 0.1]}, epochs=3).save(root / "first")
    train(None, {"batch_size": [16, 8], "learning_rate": [0.1]}, epochs=2).save(root / "second")
    with contextlib.suppress(KeyboardInterrupt):
        train(root / "kept", KEPT_AXES, epochs=400, progress=_stop)


def _stop(ended: int, total: int, text: str) -> None:
    """Leave a sweep once a program is under way, after one that has ended."""
    if ended >= 2 and ended < total:
        _calls.append(ended)
        if len(_calls) > 3:
            raise KeyboardInterrupt


_calls: list[int] = []


def which(folder: Path, known: dict[str, jaxgd.SweepResult]) -> str:
    """Which of the results a folder holds, whole."""
    try:
        found = jaxgd.load(folder)
    except Exception as error:
        return f"UNREADABLE ({error})"
    return next((name for name, other in known.items() if same(found, other)), "ANOTHER")


def _save_in_turn(folder: Path, results: list[jaxgd.SweepResult], times: int) -> None:
    for _ in range(times):
        for result in results:
            result.save(folder)


def kill_in_save(trials: int) -> None:
    """SIGKILL at random moments of saves, then death at every call that replaces, deletes or syncs."""
    with folder_for("save") as root:
        done(two_results, root)
        known = {name: jaxgd.load(root / name) for name in ("first", "second")}
        counts = Counter()
        for _ in range(trials):
            known["first"].save(root / "folder")
            process = begin(_save_in_turn, root / "folder", [known["second"], known["first"]], 1000)
            time.sleep(random.uniform(0, 0.2))
            process.kill()
            process.join()
            counts[which(root / "folder", known)] += 1
        known["first"].save(root / "folder")
        tell("kill in save", counts, f"{len(list((root / 'folder').iterdir()))} files after the next save")
        tell("death at every call", _deaths(root, known))


def _deaths(root: Path, known: dict[str, jaxgd.SweepResult]) -> Counter:
    counts = Counter()
    for at in range(1000):
        known["first"].save(root / "dead")
        code = done(_save_and_die, root / "dead", known["second"], at)
        counts[which(root / "dead", known)] += 1
        if code == OK:
            return counts
    return counts


def _save_and_die(folder: Path, result: jaxgd.SweepResult, at: int) -> None:
    made = []

    def watched(call, *arguments, **keywords):
        made.append(call)
        return os._exit(9) if len(made) > at else call(*arguments, **keywords)

    for name in ("link", "replace", "unlink", "fsync"):
        setattr(os, name, functools.partial(watched, getattr(os, name)))
    result.save(folder)


def readers(trials: int) -> None:
    """Loads beside two writers."""
    with folder_for("readers") as root:
        done(two_results, root)
        known = {name: jaxgd.load(root / name) for name in ("first", "second")}
        known["first"].save(root / "folder")
        writers = [begin(_save_in_turn, root / "folder", list(known.values()), 10**9) for _ in range(2)]
        counts = Counter(which(root / "folder", known) for _ in range(trials))
        for writer in writers:
            writer.kill()
            writer.join()
        tell("a reader beside two writers", counts)


# Files that rot.


def named(folder: Path, name: str, content: bytes) -> str:
    """What is said of a folder one of whose files holds something else; the file is put back."""
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(content)
    try:
        texts = [_text_of(lambda: jaxgd.load(folder)), _text_of(lambda: _damage(folder))]
    finally:
        (folder / name).write_bytes(before)
    if name.startswith("checkpoint"):  # which a result is not read from
        texts = texts[1:]
    return "named" if all(name in text for text in texts) else f"NOT NAMED ({name}: {texts})"


def _damage(folder: Path) -> None:
    damaged = folder_status(folder, check=True).damaged
    if damaged:
        raise ValueError("\n".join(damaged))


def _text_of(call: Callable[[], Any]) -> str:
    """The one line of a ValueError, another exception in words, nothing where there is none."""
    try:
        call()
    except ValueError as error:
        return str(error)
    except BaseException as error:
        return f"RAW {type(error).__name__}"
    return ""


def flips(trials: int) -> None:
    """Bits that flip in every file of a saved result and of a kept sweep, and files that are cut."""
    with folder_for("flips") as root:
        done(two_results, root)
        files = [path for name in ("first", "kept") for path in _own_files(root / name)]
        print(f"files: {', '.join(path.name for path in files)}")
        for word, times, change in (("flips", trials, _flipped), ("truncations", trials // 5, _cut)):
            counts = Counter()
            for trial in range(times):
                path = files[trial % len(files)]
                counts[named(path.parent, path.name, change(path.read_bytes()))] += 1
            tell(word, counts)


def _own_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".npz", ".json"))


def _flipped(content: bytes) -> bytes:
    place, bit = random.randrange(len(content)), random.randrange(8)
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


def _cut(content: bytes) -> bytes:
    return content[: random.randrange(len(content))]


# Two that start the same sweep.


def drivers(trials: int) -> None:
    """Two processes that begin the same sweep at once."""
    with folder_for("drivers") as root:
        done(train, root / "warm")
        counts = Counter()
        for trial in range(trials):
            folder = root / str(trial)
            pair = [begin(_train_or_tell, folder, root / f"{trial}-{place}") for place in range(2)]
            for process in pair:
                process.join()
            codes = sorted(process.exitcode for process in pair)
            texts = [path.read_text() for path in root.glob(f"{trial}-?")]
            owners = [f"process {process.pid} on {socket.gethostname()}" for process in pair]
            is_told = any(owner in text for text in texts for owner in owners)
            counts[
                "refused, with pid and host" if codes == [OK, REFUSED] and is_told else f"WRONG {codes}"
            ] += 1
        tell("two drivers", counts)


def _train_or_tell(folder: Path, told: Path) -> int | None:
    try:
        train(folder)
    except FolderInUseError as error:
        told.write_text(str(error))
        return REFUSED
    return OK


# Folders that somebody else has made.

# What stands for a value of another kind; in texts of a person's own, another text is no contradiction.
_WRONG = (None, True, -1, 10**18, 1.5, "another", [], {}, [[]], {"a": 1})
_FREE = ("spec", "reason", "optimizer", "batch_size", "device", "save", "sha256")
# What plans may lack: they had none of it, or nothing was timed.
_MAY_LACK = (
    "microbatch",
    "generalized",
    "branches",
    "width",
    "shares_batches",
    "conv_shared",
    "gather",
    "channels",
    "seconds",
    "clock_seconds",
    "compile_seconds",
    "run_seconds",
    "data",
)


def sealed(folder: Path, content: dict[str, Any]) -> None:
    """Write a manifest as one who knows how it is sealed."""
    content = {name: value for name, value in content.items() if name != "sha256"}
    text = json.dumps({**content, "sha256": manifests._digest(content)})
    (folder / MANIFEST).write_text(text)


def _places(content: Any, place: tuple = ()) -> Iterator[tuple]:
    """Where something stands in JSON."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for name, value in entries:
        yield (*place, name)
        if isinstance(value, dict | list):
            yield from _places(value, (*place, name))


def manifests_of_others(folder: Path) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Changes of a manifest: each thing in it missing, and of another kind."""
    content = json.loads((folder / MANIFEST).read_text())
    for place in _places(content):
        if {place[0], place[-1]} & {*_FREE} or {*place} & {"versions", "identity"}:
            continue
        owner = functools.reduce(lambda part, name: part[name], place[:-1], content)
        if isinstance(owner, dict) and owner[place[-1]] is not None and place[-1] not in _MAY_LACK:
            yield f"{place} missing", functools.partial(_change, place, None, True)
        value = owner[place[-1]]
        for wrong in _WRONG:
            if place[0] == "axes" and len(place) == 3 and not isinstance(wrong, list):
                continue  # it may be a label
            if _kind(wrong) != _kind(value) and {_kind(wrong), _kind(value)} != {"number", type(None)}:
                yield f"{place} is {wrong!r}", functools.partial(_change, place, wrong, False)


def _kind(value: Any) -> Any:
    return "number" if type(value) in (int, float) else type(value)


def _change(place: tuple, value: Any, is_gone: bool, folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    owner = functools.reduce(lambda part, name: part[name], place[:-1], content)
    if is_gone:
        del owner[place[-1]]
    else:
        owner[place[-1]] = copy.deepcopy(value)
    sealed(folder, content)


def archives_of_others(folder: Path) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Changes of the arrays: missing, of another shape or kind, more of them, one in place of another."""
    for path in folder.glob("*.npz"):
        with np.load(path) as file:
            arrays = dict(file)
        for name, array in arrays.items():
            changes: dict[str, Any] = {
                "missing": None,
                "of no rows": array[:0] if array.ndim else array[None],
            }
            changes["longer"] = np.concatenate([array, array]) if array.ndim else np.array([array, array])
            changes["texts"] = np.full(array.shape, "x")
            changes["of an axis more"] = array[None]
            changes["compressed"] = "compressed"
            for word, value in changes.items():
                yield f"{path.name}: {name} {word}", functools.partial(_rewrite, path.name, name, value)
        yield f"{path.name}: one more", functools.partial(_rewrite, path.name, "more", np.ones(3))
        others = [other for other in folder.glob("*.npz") if other.name != path.name]
        for other in others:
            yield f"{path.name}: is {other.name}", functools.partial(_swap, path.name, other.name)
        for word, content in _OTHER_CONTENTS.items():
            yield f"{path.name}: {word}", functools.partial(_put, path.name, content)


_OTHER_CONTENTS = {
    "empty": b"",
    "text": b"hello",
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x04evil\x94.",
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(200),
    "deep JSON": b"[" * 100_000,
    "an array": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (2199023255552,)}",
}


def _rewrite(name: str, array: str, value: Any, folder: Path) -> None:
    with np.load(folder / name) as file:
        arrays = {key: held for key, held in file.items() if key != array or isinstance(value, str)}
    if isinstance(value, str):
        np.savez_compressed(folder / "made.npz", **arrays)
    else:
        np.savez(folder / "made.npz", **arrays, **({} if value is None else {array: value}))
    content = (folder / "made.npz").read_bytes()
    (folder / "made.npz").unlink()
    _put(name, content, folder)


def _swap(name: str, other: str, folder: Path) -> None:
    _put(name, (folder / other).read_bytes(), folder)


def _put(name: str, content: bytes, folder: Path) -> None:
    """Give a file other content, and have the manifest say so."""
    (folder / name).write_bytes(content)
    told = json.loads((folder / MANIFEST).read_text())
    for entry in told["files"].values():
        if entry["name"] == name:
            digest = manifests.hashlib.sha256(content).hexdigest()
            entry.update(size=len(content), sha256=digest)
    sealed(folder, told)


def texts_of_others() -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Other things than a manifest in its place."""
    for word, content in _OTHER_CONTENTS.items():
        yield f"manifest: {word}", lambda folder, text=content: (folder / MANIFEST).write_bytes(text) and None


def malformed(trials: int) -> None:
    """Folders that somebody else has made or changed, who knows how a manifest is sealed."""
    with folder_for("malformed") as root:
        done(two_results, root)
        counts = Counter()
        for name in ("first", "kept"):
            changes = [
                *manifests_of_others(root / name),
                *archives_of_others(root / name),
                *texts_of_others(),
            ]
            random.shuffle(changes)
            for word, change in changes[: trials // 2]:
                folder = shutil.copytree(root / name, root / "changed", dirs_exist_ok=True)
                change(folder)
                reading = _going_on if word.startswith("checkpoint") else _reading
                counts[reading(folder, f"{name}: {word}")] += 1
                shutil.rmtree(folder)
            print(f"{name}: {len(changes)} changes, {min(len(changes), trials // 2)} drawn")
        tell("malformed folders", counts)


def _reading(folder: Path, word: str) -> str:
    """Whether reading the folder ends in ValueErrors that name a file of it."""
    texts = [_text_of(lambda: jaxgd.load(folder)), _text_of(lambda: _damage(folder))]
    is_named = all(".npz" in text or ".json" in text or "is missing" in text for text in texts[:1])
    is_line = not any("RAW" in text or "\n" in text for text in texts)
    return "named" if is_named and is_line else f"NOT NAMED ({word}: {texts})"


def _going_on(folder: Path, word: str) -> str:
    """Whether the same sweep, which alone reads checkpoints, says which file it leaves out."""
    return "named" if done(_go_on, folder) == OK else f"NOT NAMED ({word})"


def _go_on(folder: Path) -> int:
    Engine.run = lambda *_: iter(())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(folder, KEPT_AXES, epochs=400)
    texts = [str(each.message) for each in caught]
    return OK if any("checkpoint-" in text and "begin again" in text for text in texts) else WRONG


# Signals.

SPEC = """data = "digits"
epochs = 100
fixed = { optimizer = "adam", model = "mlp" }
axes = { batch_size = [4, 32], learning_rate = [0.001, 0.01], seed = [0, 1, 2, 3] }
"""
TRAINED = """
import jax, jaxgd, numpy as np
problem = jaxgd.classification(jaxgd.mlp([64, 64, 10]), *jaxgd.datasets.load("digits"))
print("begins", flush=True)
try:
    jaxgd.train(jaxgd.trainer(problem, jaxgd.adam(0.001), 4), jax.random.key(0), 60)
except jaxgd.Interrupted as stop:
    done, losses = int(stop.result.state.epoch), stop.result.history["train_loss"]
    kept = np.isfinite(losses[:done]).all() and np.isnan(losses[done:]).all()
    print("interrupted:", done, "epochs", "" if kept else "LOST")
    raise SystemExit(128 + stop.signal)
"""
COMMANDS = {
    "sweep": ["-m", "jaxgd", "sweep", "spec.toml", "--out", "kept", "--replace"],
    "compare": ["-m", "jaxgd", "compare", "--quick", "--out", "page.html"],
    "landscape": ["-m", "jaxgd", "landscape", "there", "--out", "landscape.html"],
    "train": ["-c", TRAINED],
}


def signals(trials: int) -> None:
    """Ctrl-C and SIGTERM at random moments of the commands and of `train`, in turn."""
    with folder_for("signals") as root:
        (root / "spec.toml").write_text(SPEC)
        seconds = {}
        run(["-m", "jaxgd", "sweep", "spec.toml", "--out", "there"], root)
        for name, command in COMMANDS.items():
            begun = time.monotonic()
            run(command, root)
            seconds[name] = time.monotonic() - begun
        counts: Counter[str] = Counter()
        for trial in range(trials):
            name = list(COMMANDS)[trial % len(COMMANDS)]
            number = (signal.SIGINT, signal.SIGTERM)[trial // len(COMMANDS) % 2]
            after = random.uniform(0 if name == "train" else 0.1, 1) * seconds[name]
            counts[f"{_after_signal(name, number, after, root)} {name}"] += 1
        tell("signals", counts)


def run(command: list[str], folder: Path) -> None:
    subprocess.run([sys.executable, *command], cwd=folder, check=True, capture_output=True)


def _after_signal(name: str, number: signal.Signals, after: float, folder: Path) -> str:
    """Whether a command that gets a signal ends with its exit code, and has kept what its line says."""
    process = subprocess.Popen(
        [sys.executable, *COMMANDS[name]],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if name == "train":  # until it is called, a script of the user's own is interrupted as any other
        assert process.stdout is not None
        process.stdout.readline()
    time.sleep(after)
    process.send_signal(number)
    out, err = process.communicate()
    if process.returncode == OK:
        return "done before:"
    lines = (out if name == "train" else err).strip().splitlines() or [""]
    is_told = process.returncode == 128 + number and "interrupted" in lines[-1]
    if is_told and "Traceback" not in err and _is_kept(name, lines[-1], folder):
        return "kept:"
    return f"WRONG ({number.name} after {after:.1f} s, exit code {process.returncode}, {lines[-1]!r}):"


def _is_kept(name: str, line: str, folder: Path) -> bool:
    if name == "sweep" and not line.endswith("interrupted"):  # it had begun
        return int(line.split("interrupted: ")[1].split(" ")[0]) == folder_status(folder / "kept").num_ended
    if name == "train":
        return "LOST" not in line
    if "the page, " in line:
        return (folder / line.split("the page, ")[1].split(",")[0]).exists()
    return "before" in line or line.endswith("interrupted")


# What it costs.


def sink(trials: int) -> None:
    """Seconds inside the sink, as a share of a sweep of about a minute, as a person would start it."""
    with folder_for("sink") as root:
        for trial in range(trials):
            done(_time_sink, root / str(trial))


def _time_sink(folder: Path) -> None:
    close, kept = keeper.Keeper.close, []

    def watched(self, *arguments):
        kept.append(self)
        close(self, *arguments)

    keeper.Keeper.close = watched
    rates = np.geomspace(1e-4, 1e-1, 40).tolist()
    axes = {"batch_size": [1, 2, 4, 8], "learning_rate": rates, "seed": list(range(10))}
    begun = time.monotonic()
    train(folder, axes, pace=False, epochs=600, clock=True)
    seconds = time.monotonic() - begun
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"sink: {kept[0].seconds:.2f} s of {seconds:.1f} s, {100 * kept[0].seconds / seconds:.2f} %; "
        f"1600 runs of 600 epochs, {size / 1e6:.1f} MB",
        flush=True,
    )


def large(trials: int) -> None:
    """Save and load 10,000 lanes of 50 epochs."""
    with folder_for("large") as root:
        done(_make_large, root)
        for name in ("saved", "kept"):
            for _ in range(trials):
                done(_load_large, root / name)


def _make_large(root: Path) -> None:
    rates, seeds = np.geomspace(1e-4, 1e-1, 1000).tolist(), list(range(10))
    axes = {"batch_size": ["full"], "learning_rate": rates, "seed": seeds}
    begun = time.monotonic()
    result = train(root / "kept", axes, pace=False, epochs=50, clock=True)
    print(f"large: trained in {time.monotonic() - begun:.1f} s", flush=True)
    before, begun = _peak(), time.monotonic()
    result.save(root / "saved")
    seconds = time.monotonic() - begun
    size = sum(path.stat().st_size for path in (root / "saved").iterdir())
    variables = result.dataset.variables.items()
    rows = [str(name) for name, held in variables if "epoch" in held.dims and held.ndim > 1]
    print(
        f"large: {result.dataset.status.size} lanes, 50 epochs of {', '.join(rows)}: "
        f"saved in {seconds:.2f} s, {size / 1e6:.1f} MB, peak memory {before:.0f} to {_peak():.0f} MB",
        flush=True,
    )


def _load_large(folder: Path) -> None:
    import xarray  # noqa: F401

    before, begun = _peak(), time.monotonic()
    jaxgd.load(folder)
    seconds = time.monotonic() - begun
    text = f"loaded in {seconds:.2f} s, peak memory {before:.0f} to {_peak():.0f} MB"
    print(f"large: {folder.name}: {text}", flush=True)


def _peak() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


EXPERIMENTS = {
    "sigkill": (sigkill, 50),
    "save": (kill_in_save, 200),
    "flips": (flips, 500),
    "readers": (readers, 1000),
    "drivers": (drivers, 20),
    "malformed": (malformed, 400),
    "signals": (signals, 40),
    "sink": (sink, 1),
    "large": (large, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=EXPERIMENTS, metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--trials", type=int, metavar="N", help="instead of those of the documentation")
    arguments = parser.parse_args()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = cache = tempfile.mkdtemp(prefix="jaxgd-cache-")
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    random.seed(0)
    for name, (experiment, trials) in EXPERIMENTS.items():
        if arguments.only in (None, name):
            experiment(arguments.trials or trials)
    shutil.rmtree(cache)
    sys.exit(f"{len(_bad)} of these went wrong" if _bad else 0)


if __name__ == "__main__":
    main()
