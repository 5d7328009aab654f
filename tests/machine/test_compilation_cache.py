"""The folder of compiled programs: private, found again, and used by what compiles later."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import jaxgd
from jaxgd.machine import compilation_cache
from jaxgd.machine.compilation_cache import enable_compilation_cache


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """The settings that were set, instead of JAX's own: the other tests keep theirs."""
    made = {}
    monkeypatch.setattr(compilation_cache.jax.config, "update", made.__setitem__)
    monkeypatch.setattr(compilation_cache.compilation_cache, "reset_cache", lambda: None)
    return made


def process(program: str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """A process of its own that has run a program."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(jaxgd.__file__).parents[1])}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment)


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_the_users_own_folder(tmp_path, monkeypatch, settings):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = enable_compilation_cache()
    assert folder == tmp_path / "cache" / "jaxgd" / "xla"
    assert [mode(folder), mode(folder.parent)] == ["0o700", "0o700"]
    assert enable_compilation_cache() == folder
    assert settings["jax_compilation_cache_dir"] == str(folder)


def test_a_relative_cache_home_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert enable_compilation_cache() == tmp_path / ".cache" / "jaxgd" / "xla"


def test_a_folder_that_is_given(tmp_path, monkeypatch, settings):
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o777)
    assert enable_compilation_cache("programs") == tmp_path / "programs"
    assert mode(tmp_path / "programs") == "0o700"
    assert settings["jax_compilation_cache_dir"] == str(tmp_path / "programs")


@pytest.mark.parametrize("place", ["jaxgd", "jaxgd/xla"])
def test_a_folder_that_others_can_write_to(tmp_path, monkeypatch, settings, place):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    enable_compilation_cache()
    settings.clear()
    (tmp_path / place).chmod(0o777)
    with pytest.raises(PermissionError, match=f"others can write to .*{place}"):
        enable_compilation_cache()
    assert not settings


def test_a_folder_behind_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="link is not a folder of yours"):
        enable_compilation_cache(tmp_path / "link")


LATE = """
import sys
import jax
import jaxgd
jax.jit(lambda x: x + 1)(1.0).block_until_ready()  # compiled before there is a cache
for place, folder in enumerate(sys.argv[1:]):
    jaxgd.enable_compilation_cache(folder)
    jax.jit(lambda x: x * (place + 2))(1.0).block_until_ready()
"""


def test_it_serves_what_compiles_later_also_in_another_folder(tmp_path):
    folders, before = [tmp_path / "first", tmp_path / "second"], jax.config.jax_compilation_cache_dir
    process(LATE, *folders)
    assert all(list(folder.iterdir()) for folder in folders)
    assert jax.config.jax_compilation_cache_dir == before


COUNTED = """
import collections
import sys
import jax
import jaxgd
found = collections.Counter()
note = lambda event, *_, **__: found.update([event.rpartition("/")[2]])
jax.monitoring.register_event_listener(note)
jax.monitoring.register_event_duration_secs_listener(note)
jax.config.update("jax_num_cpu_devices", 2)
jaxgd.enable_compilation_cache(sys.argv[1])
work = sys.argv[2]
if work == "one":
    jax.jit(lambda x: x + 1)(1.0).block_until_ready()
else:
    train, valid, _ = jaxgd.datasets.load("digits")
    model = jaxgd.conv_net((8, 8, 1), 10) if work == "images" else jaxgd.linear(64, 10)
    problem = jaxgd.classification(model, train, valid)
    axes = {"learning_rate": [1e-3, 1e-2], "batch_size": [64, 256], "seed": [0, 1]}
    make = lambda at: jaxgd.trainer(problem, jaxgd.adam(at.learning_rate), at.batch_size)
    jaxgd.sweep(make, axes, 2, progress=False)
    run = jaxgd.trainer(problem, jaxgd.adam(1e-3), 64)
    jaxgd.fit(run, jax.random.key(0), 2)
    jaxgd.train(run, jax.random.key(0), 2, progress=False)
print(found["backend_compile_duration"], found["cache_hits"])
"""


def counted(folder: Path, work: str) -> tuple[int, int, str]:
    """Programs that a process asks for, how many of them the folder has, and what is on stderr."""
    done = process(COUNTED, folder, work)
    programs, found = map(int, done.stdout.split())
    return programs, found, done.stderr


@pytest.mark.parametrize("work", ["numbers", pytest.param("images", marks=pytest.mark.slow)])
def test_a_second_process_compiles_nothing(tmp_path, work):
    """Sweeps, `fit` and `train`: also not what compiles in milliseconds, such as the key of a seed."""
    programs, found, _ = counted(tmp_path / "programs", work)
    assert (programs > 5, found) == (True, 0)
    assert counted(tmp_path / "programs", work)[:2] == (programs, programs)


def test_a_file_that_is_cut_short_is_compiled_again(tmp_path):
    """As one that another process is writing, or was writing when it was killed."""
    assert counted(tmp_path / "programs", "one")[:2] == (1, 0)
    (file,) = (tmp_path / "programs").iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    programs, found, text = counted(tmp_path / "programs", "one")
    assert (programs, found) == (1, 0)
    assert "Error reading persistent compilation cache entry" in text


def test_no_home(monkeypatch):
    def fails():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(compilation_cache.Path, "home", fails)
    with pytest.raises(OSError, match="there is no home folder, and XDG_CACHE_HOME names no other"):
        enable_compilation_cache()
