"""The benchmark of a GPU, on a CPU: it runs once on a rented machine, and has to be right by then."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import jaxgd

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

# As XLA writes a program for a GPU: an epoch's loop, the steps' loop in it, and one that draws numbers.
TEXT = """\
HloModule jit_on_device, is_scheduled=true

%fused_computation.1 (param_0.1: f32[8,2]) -> f32[8,2] {
  %param_0.1 = f32[8,2]{1,0} parameter(0)
  ROOT %add.1 = f32[8,2]{1,0} add(%param_0.1, %param_0.1)
}

%command_buffer (p.2: f32[8,2]) -> (f32[8,2]) {
  %p.2 = f32[8,2]{1,0} parameter(0)
  %loop_add_fusion = f32[8,2]{1,0} fusion(%p.2), kind=kLoop, calls=%fused_computation.1
  ROOT %tuple.9 = (f32[8,2]{1,0}) tuple(%loop_add_fusion)
}

%short (p.3: f32[8,2]) -> f32[8,2] {
  ROOT %p.3 = f32[8,2]{1,0} parameter(0)
}

%long (p.4: f32[8,2]) -> f32[8,2] {
  %p.4 = f32[8,2]{1,0} parameter(0)
  %copy.1 = f32[8,2]{1,0} copy(%p.4)
  ROOT %copy.2 = f32[8,2]{1,0} copy(%copy.1)
}

%step (tuple.1: (s32[], f32[8,2])) -> (s32[], f32[8,2]) {
  %tuple.1 = (s32[], f32[8,2]{1,0}) parameter(0)
  %gte.1 = f32[8,2]{1,0} get-tuple-element(%tuple.1), index=1
  %one = s32[] constant(1)
  %cublas.1 = (f32[8,2]{1,0}, s8[1024]{0}) custom-call(%gte.1), custom_call_target="__cublas$gemm"
  %gte.2 = f32[8,2]{1,0} get-tuple-element(%cublas.1), index=0
  %call.1 = (f32[8,2]{1,0}) call(%gte.2), to_apply=%command_buffer
  %copy-start.1 = (f32[8,2]{1,0}, f32[8,2]{1,0}, u32[]) copy-start(%gte.2)
  %copy-done.1 = f32[8,2]{1,0} copy-done(%copy-start.1)
  %cond.1 = f32[8,2]{1,0} conditional(%one, %gte.2, %gte.2), branch_computations={%short, %long}
  ROOT %tuple.2 = (s32[], f32[8,2]{1,0}) tuple(%one, %cond.1)
}

%goes_on (tuple.3: (s32[], f32[8,2])) -> pred[] {
  %tuple.3 = (s32[], f32[8,2]{1,0}) parameter(0)
  ROOT %is = pred[] constant(false)
}

%draw (tuple.6: (s32[], f32[8,2])) -> (s32[], f32[8,2]) {
  %tuple.6 = (s32[], f32[8,2]{1,0}) parameter(0)
  %a = f32[8,2]{1,0} sort(%tuple.6), dimensions={0}, to_apply=%goes_on
  %b = f32[8,2]{1,0} sort(%a), dimensions={0}, to_apply=%goes_on
  %c = f32[8,2]{1,0} sort(%b), dimensions={0}, to_apply=%goes_on
  %d = f32[8,2]{1,0} sort(%c), dimensions={0}, to_apply=%goes_on
  %e = f32[8,2]{1,0} sort(%d), dimensions={0}, to_apply=%goes_on
  %f = f32[8,2]{1,0} sort(%e), dimensions={0}, to_apply=%goes_on
  %g = f32[8,2]{1,0} sort(%f), dimensions={0}, to_apply=%goes_on
  ROOT %tuple.7 = (s32[], f32[8,2]{1,0}) tuple(%g, %g)
}

%epoch (tuple.4: (s32[], f32[8,2])) -> (s32[], f32[8,2]) {
  %tuple.4 = (s32[], f32[8,2]{1,0}) parameter(0)
  %while.3 = (s32[], f32[8,2]{1,0}) while(%tuple.4), condition=%goes_on, body=%draw, \
metadata={op_name="jit(one)/while/body/jit(_shuffle)/while"}
  ROOT %while.1 = (s32[], f32[8,2]{1,0}) while(%while.3), condition=%goes_on, body=%step, \
metadata={op_name="jit(one)/while/body/while"}COUNTED
}

ENTRY %main (x: f32[8,2]) -> (s32[], f32[8,2]) {
  %x = (s32[], f32[8,2]{1,0}) parameter(0)
  ROOT %while.2 = (s32[], f32[8,2]{1,0}) while(%x), condition=%goes_on, body=%epoch
}
"""


@pytest.fixture
def load(monkeypatch):
    """Loads modules of the benchmark."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    return importlib.import_module


@pytest.mark.parametrize("counted", [True, False])
def test_kernels_of_a_step(load, counted):
    text = TEXT.replace("COUNTED", ', backend_config={"known_trip_count":{"n":"10"}}' * counted)
    # The product, the fusion that is called, a copy that is begun, a choice and its longer branch's copies.
    assert load("compiled_text").step_of(text) == (1 + 1 + 1 + (1 + 2), counted)


def test_kernels_of_a_program(load):
    # The entry's loop, an epoch's two, seven sorts; of a step four, one that is called, the branches' two.
    assert load("compiled_text").kernels_of_program(TEXT.replace("COUNTED", "")) == 1 + 2 + 7 + (4 + 1 + 2)


def test_a_program_without_a_loop_has_no_step(load):
    assert load("compiled_text").step_of("ENTRY %main (x: f32[]) -> f32[] {\n}\n") is None


def test_random_rows_where_a_data_set_is_not_installed(load, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS / "sweeps"), *sys.path])
    speed, workloads = load("gpu_parts.speed"), load("workloads")
    work = workloads.named("3:rates=1:seeds=1:epochs=1")
    there, source = speed.examples_of(work)
    assert source == "breast_cancer"

    def missing(name):
        raise ImportError(f"{name} needs a library")

    monkeypatch.setattr(jaxgd.datasets, "load", missing)
    drawn, source = speed.examples_of(work)
    assert source == "random, in the place of breast_cancer"
    for name, array in there.items():
        assert (drawn[name].shape, drawn[name].dtype) == (array.shape, array.dtype)
    assert set(drawn["labels"]) == {0, 1}


FAILING = """\
from gpu_parts.reporting import Table
import os, time

def breaks(scope):
    table = Table("", "seconds")
    table.add("a row", 1.0)
    raise MemoryError("RESOURCE_EXHAUSTED: out\\nof memory")

def works(scope):
    Table("it", "holds").add("this", True)

def hangs(scope):
    Table("it").add("hangs")
    time.sleep(600)

def dies(scope):
    os._exit(7)

TWO = {"breaks": breaks, "works": works}
HANGING, DYING = {"hangs": hangs}, {"dies": dies}
"""


def test_what_fails_says_so_and_the_rest_goes_on(load, tmp_path, monkeypatch, capfd):
    gpu = load("gpu")
    (tmp_path / "gpu_parts").mkdir()
    (tmp_path / "gpu_parts" / "failing.py").write_text(FAILING)
    (tmp_path / "child.py").write_text(CHILD.format(benchmarks=str(BENCHMARKS)))
    monkeypatch.setattr(gpu, "__file__", str(tmp_path / "child.py"))
    two, hanging, dying = (
        gpu.run_part(name, gpu.Part("", 60), seconds, small=True)
        for name, seconds in (("TWO", 120), ("HANGING", 30), ("DYING", 120))
    )
    breaks, works = two["sections"].values()
    assert breaks["rows"] == [{"name": "a row", "seconds": 1.0}]
    assert breaks["failure"] == "MemoryError: RESOURCE_EXHAUSTED: out of memory"
    assert works["rows"] == [{"it": "this", "holds": True}]
    assert works["failure"] is None
    assert "failure" not in two
    assert hanging["sections"]["hangs"]["rows"] == [{"it": "hangs"}]
    assert hanging["failure"] == "ended after 30 s"
    assert dying["failure"].startswith("status 7")
    text = capfd.readouterr().out
    assert "| this | yes |" in text
    assert "**Failed**: MemoryError: RESOURCE_EXHAUSTED: out of memory" in text
    assert "**HANGING failed**: ended after 30 s" in text


# The command's process, with sections that fail in the place of its own.
CHILD = """\
import argparse, sys, time
sys.path.insert(0, {benchmarks!r})
import gpu_parts
gpu_parts.__path__ = [*gpu_parts.__path__, sys.argv[0].replace("child.py", "gpu_parts")]
from gpu import be_part
from gpu_parts.reporting import Scope
parser = argparse.ArgumentParser()
parser.add_argument("--part")
parser.add_argument("--seconds", type=float)
parser.add_argument("--small", action="store_true")
given = parser.parse_args()
be_part("failing:" + given.part, Scope(True, time.perf_counter() + given.seconds))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the small form finds, and what it prints."""
    file = tmp_path_factory.mktemp("gpu") / "found.json"
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--small", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert json.loads(lines[-1]) == json.loads(file.read_text())
    return json.loads(file.read_text())["parts"], done.stdout


@pytest.mark.slow
def test_nothing_fails(found):
    parts, text = found
    assert set(parts) == {"numbers", "bits", "lanes", "update", "memory"}
    for name, part in parts.items():
        assert "failure" not in part, (name, text)
        assert {section["failure"] for section in part["sections"].values()} == {None}, (name, text)


@pytest.mark.slow
def test_numbers_and_bits(found):
    sections = {title: each["rows"] for part in found[0].values() for title, each in part["sections"].items()}
    assert all(row["at most 1e-09"] for row in sections["float64 on both"])
    assert {row["parameters off by"] < 1e-4 for row in sections["Precision of products"]} == {True}
    assert all(row["hold"] for row in sections["Bits"]), sections["Bits"]
    assert len(sections["Bits"]) == 8


@pytest.mark.slow
def test_lanes_and_memory(found):
    sections = {title: each["rows"] for part in found[0].values() for title, each in part["sections"].items()}
    times, *compiled = sections["10,000 lanes"]
    assert times["runs"] == 40
    assert min(times[name] for name in ("jaxgd, s", "in programs, s", "vmap, s", "scan, s (scaled)")) > 0
    assert times["losses differ by"] < 1e-5
    assert [row["by"] for row in compiled] == ["jaxgd", "vmap", "scan"]
    assert min(row["kernels a step"] for row in compiled) > 5
    (halved,) = sections["Lanes that do not fit"]
    assert halved["went on with"] == "4 lanes"
    assert halved["runs completed"] == "8 of 8"
    assert halved["losses of 4 runs off by"] < 1e-4
