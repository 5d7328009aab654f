"""`jaxgd plan`: the plan of a spec, here and for a TPU that is described; one line for what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxgd import cli
from jaxgd.cli import jax_start
from jaxgd.machine import topologies
from jaxgd.specs.runs import SpecRuns
from jaxgd.sweeps.engine import execution, targets

SPEC = """
data = "breast_cancer"
epochs = 2
[fixed]
optimizer = "sgd"
batch_size = 32
model = "linear"
[axes]
learning_rate = [0.1, 1e30]
seed = [0, 1]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a spec; training would be an error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    monkeypatch.setattr(SpecRuns, "run", None)
    (tmp_path / "spec.toml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def described(folder, monkeypatch):
    """That directory, with CPUs in the place of any TPU."""
    monkeypatch.setattr(topologies, "described_devices", lambda text: jax.devices("cpu"))
    return folder


def refused(capsys, *arguments) -> str:
    """The error line of a command that is refused."""
    assert cli.main(["plan", "spec.toml", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1), err
    assert err.startswith("jaxgd plan: error: ")
    return err.strip()


def test_the_plan_of_this_machine(folder, capsys):
    assert cli.main(["plan", "spec.toml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 runs of 2 epochs in 1 program on 2 x cpu"
    assert lines[1] == "1. 4 runs, batch 32, sgd"
    assert "predicted: compile" in lines[3]
    assert cli.main(["plan", "spec.toml", "--exact"]) == 0
    assert "1 lane on each of 2 devices" in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == ["spec.toml"]


@pytest.mark.parametrize(("exact", "lanes"), [([], "64 lanes"), (["--exact"], "1 lane")])
def test_programs_compiled_for_described_devices(described, capsys, exact, lanes):
    assert cli.main(["plan", "spec.toml", "--devices", "v5e:4x4", *exact]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[:2] == ["4 runs of 2 epochs in 1 program on 2 x cpu", "1. 4 runs, batch 32, sgd"]
    assert lines[2].startswith(f"     {lanes}")
    assert "on each of 2 devices" in lines[2]
    assert lines[3].startswith("     fits: ")
    assert lines[3].endswith("GB on each device; collectives: none")
    assert lines[4].startswith("     compiled in ")
    assert lines[5].startswith("Compiled, not run")
    assert err == "1 of 1 programs compiled\n"
    assert os.environ["JAX_PLATFORMS"] == "cpu"


def test_a_sweep_that_is_too_large(described, capsys, monkeypatch):
    for module in (targets, execution):
        monkeypatch.setattr(module, "free_bytes", lambda devices: 1000)
    line = refused(capsys, "--devices", "v5e:4x4")
    assert "the sweep is too large for v5e:4x4: one run of batch 32, sgd, needs about " in line
    assert "bytes on each device, 1,000 are free" in line


def test_what_xla_does_not_compile(described, capsys, monkeypatch):
    def fail(*arguments):
        raise jax.errors.JaxRuntimeError("INTERNAL: all slice devices are needed\nand more")

    monkeypatch.setattr(targets, "lower", fail)
    line = refused(capsys, "--devices", "v5e:16x16")
    assert line.endswith(
        "XLA does not compile the sweep for v5e:16x16: INTERNAL: all slice devices are needed"
    )


def test_devices_that_there_are_not(folder, capsys, monkeypatch):
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: pytest.fail("JAX was started"))
    assert "unknown kind of TPU 'v5'; did you mean 'v5p'" in refused(capsys, "--devices", "v5:4x4")
    assert "devices is ''; a kind of TPU and its chips are needed" in refused(capsys, "--devices", "")


def test_without_libtpu(folder, capsys, monkeypatch):
    monkeypatch.setattr(topologies, "find_spec", lambda name: None)
    os.environ.pop("TPU_LIBRARY_PATH", None)  # JAX sets it where libtpu is installed
    line = refused(capsys, "--devices", "v5e:4x4")
    assert line.endswith('is missing: pip install "jaxgd[tpu-plan]"')


@pytest.mark.parametrize("devices", [[], ["--devices", "v5e:4x4"]])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("epochs", "epoch"), "spec.toml: unknown key 'epoch'; did you mean 'epochs'"),
        (("breast_cancer", "no.npz"), "no.npz'; there is no such file"),
        (("= 32", "= 5000"), "spec.toml: batch_size must be a whole number from 1 to 341"),
    ],
)
def test_a_bad_spec(described, capsys, devices, change, message):
    (described / "spec.toml").write_text(SPEC.replace(*change))
    assert message in refused(capsys, *devices)


MODEL = """
import numpy as np
import jaxgd

rows = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
problem = jaxgd.classification(jaxgd.mlp([8, WIDTH, WIDTH, 4]), (rows, np.arange(64) % 4))
"""


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["v5e:4x4", "v4:2x2x1", "v6e:1x1"])
def test_a_tpu(folder, devices):
    pytest.importorskip("libtpu")
    environment = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}

    def plan(width):
        (folder / "own.py").write_text(MODEL.replace("WIDTH", str(width)))
        spec = SPEC.replace("breast_cancer", "own.py:problem").replace('model = "linear"\n', "")
        (folder / "spec.toml").write_text(spec.replace('"sgd"', '"adam"'))
        command = [sys.executable, "-m", "jaxgd", "plan", "spec.toml", "--devices", devices]
        path = str(Path(cli.__file__).parents[2])
        return subprocess.run(
            command, capture_output=True, text=True, env={**environment, "PYTHONPATH": path}
        )

    done = plan(32)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "1 of 1 programs compiled\n"
    assert "4 runs of 2 epochs in 1 program on " in done.stdout
    assert "x TPU v" in done.stdout
    assert "at once on" in done.stdout or "1 lane on each of 4 devices" in done.stdout
    assert "GB on each device; collectives: none" in done.stdout
    assert ("! 4 hosts: " in done.stdout) == (devices == "v5e:4x4")
    done = plan(60_000)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"the sweep is too large for {devices}: one run of batch 32, adam, needs about " in done.stderr
