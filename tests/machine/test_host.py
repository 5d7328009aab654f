"""What the machine gives this process: cores and memory, of its own, its affinity mask, its container."""

import importlib.metadata
import os
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.machine import host
from jaxgd.machine.devices import free_bytes


@pytest.fixture
def container(tmp_path, monkeypatch):
    """container(file, text): what a container tells of its limits, on a machine of 64 cores."""
    monkeypatch.setattr(host, "CONTAINER", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    return lambda file, text: (tmp_path / file).write_text(text)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [(None, 64), ("max 100000", 64), ("200000 100000", 2), ("150000 100000", 1), ("50000 100000", 1)],
)
def test_cores_of_a_container(container, quota, cores):
    if quota:
        container("cpu.max", quota)
    assert host.num_cores() == cores


def test_cores_of_an_affinity_mask(container, monkeypatch):
    container("cpu.max", "800000 100000")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5})
    assert host.num_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert host.num_cores() == 8


def test_the_planner_plans_for_the_cores_of_the_container(container):
    """As many programs as there are batch sizes are worth their compiling only on many cores."""
    inputs = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    problem = jaxgd.regression(jaxgd.linear(3), (inputs, inputs[:, 0]))

    def programs():
        axes = {"batch_size": list(range(2, 21))}
        make = lambda hp: jaxgd.trainer(problem, jaxgd.sgd(0.1), hp.batch_size)  # noqa: E731
        return len(jaxgd.plan(make, axes, 2).groups)

    assert programs() == 19
    container("cpu.max", "200000 100000")
    assert programs() == 1


def test_memory_of_a_container(container):
    container("memory.max", "1000")
    container("memory.current", "700")
    container("memory.stat", "anon 5\ninactive_file 100")
    assert free_bytes(jax.devices("cpu")[:1]) == 400
    container("memory.max", "max")
    assert free_bytes(jax.devices("cpu")[:1]) > 1000


def test_the_version_is_that_of_the_project():
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert jaxgd.__version__ == host.versions()["jaxgd"] == project["version"]
    assert f"\nversion: {project['version']}\n" in (root / "CITATION.cff").read_text()


def test_the_version_of_files_that_are_not_installed(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert host.own_version() == "unknown"
