"""Programs compiled for devices that need not be here: bytes, collectives, halves of what does not fit."""

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

import jaxgd
from jaxgd.machine.devices import mesh_of
from jaxgd.sweeps.engine import execution, targets
from jaxgd.sweeps.planning.planner import Options
from jaxgd.sweeps.sweeping import plan_on

# As XLA compiles it for a TPU.
COMPILED = """
  %all-reduce.2 = (f32[]{:T(128)}, f32[25000]{0:T(1024)S(1)}) all-reduce(%reduce_sum.9, %copy), channel_id=1
  %get-tuple-element.5 = f32[]{:T(128)} get-tuple-element(%all-reduce.2), index=0
  %collective-permute-start = (f32[50]{0}, f32[50]{0}, u32[]{:S(2)}) collective-permute-start(%param.1)
  %collective-permute-done = f32[50]{0:T(1024)S(1)} collective-permute-done(%collective-permute-start)
  %a = f32[5,1,1000]{2,1,0} all-to-all(%b), metadata={op_name="jit(f)/all-gather(x)"}
"""
RAN_OUT = (
    "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (37.50G) "
    "exceeds available HBM (15.75G)."
)


def planned(lanes=8, num=16):
    rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    problem = jaxgd.regression(jaxgd.mlp([8, 64, 1]), (rows, rows[:, 0]))
    make = lambda hp: jaxgd.trainer(problem, jaxgd.adam(hp.learning_rate), 10)  # noqa: E731
    axes = {"learning_rate": np.linspace(0.001, 0.01, num).tolist()}
    return plan_on(jax.devices(), make, axes, 2, Options(kind="vmap", lanes=lanes))


def compiled(plan):
    _, programs, engine = plan
    told = []
    found = targets.compiled_programs(engine, programs, lambda *numbers: told.append(numbers))
    assert told == [(1, 1)]
    return found[0]


def limit(monkeypatch, free):
    for module in (targets, execution):
        monkeypatch.setattr(module, "free_bytes", lambda devices: free)


def test_lanes_are_halved_until_they_fit(monkeypatch):
    eight, four = (compiled(planned(lanes)) for lanes in (8, 4))
    assert eight.program.recipe.lanes == 8
    assert four.bytes < eight.bytes
    assert (dict(eight.collectives), eight.seconds > 0) == ({}, True)
    limit(monkeypatch, four.bytes)
    fewer = compiled(planned(8))
    assert (fewer.program.recipe.lanes, fewer.bytes) == (4, four.bytes)
    assert fewer.program.reason == "halved: out of memory with 8 lanes"
    limit(monkeypatch, 1000)
    with pytest.raises(
        MemoryError, match=r"one run of batch 10, adam, needs about [\d,]+ bytes .*1,000 are free"
    ):
        compiled(planned(8))


def test_a_compiler_that_runs_out_of_memory_says_how_much_it_takes(monkeypatch):
    original = targets.lower

    def lower(inputs, recipe, devices):
        if recipe.lanes > most:
            raise jax.errors.JaxRuntimeError(RAN_OUT)
        return original(inputs, recipe, devices)

    monkeypatch.setattr(targets, "lower", lower)
    most = 2
    assert compiled(planned(8)).program.recipe.lanes == 2
    most = 0
    with pytest.raises(MemoryError, match=f"needs about {int(37.5 * 2**30):,} bytes"):
        compiled(planned(8))


def test_other_errors_of_the_compiler_are_errors(monkeypatch):
    def fail(*arguments):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(targets, "lower", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        compiled(planned())


def test_a_plan_has_one_lane_where_two_do_not_compile(monkeypatch):
    def lower(inputs, recipe, devices):
        raise jax.errors.JaxRuntimeError(RAN_OUT if failing == "memory" else "INTERNAL: something else")

    monkeypatch.setattr(execution, "lower", lower)
    for module in ("planner", "costs"):
        monkeypatch.setattr(f"jaxgd.sweeps.planning.{module}.free_bytes", lambda devices: 200_000)
    failing = "memory"
    plan, *_ = planned(None)
    assert plan.groups[0].recipe.lanes == 1
    failing = "other"
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        planned(None, 15)  # other runs, whose plan was not chosen before


def test_collectives():
    assert targets.collectives_of(COMPILED) == {"all-reduce": 1, "collective-permute": 1, "all-to-all": 1}
    mesh, spec = mesh_of(jax.devices()[:2]), PartitionSpec("lanes")
    total = jax.shard_map(
        lambda x: jax.lax.psum(x, "lanes"), mesh=mesh, in_specs=spec, out_specs=PartitionSpec()
    )
    text = jax.jit(total).lower(np.ones(4)).compile().as_text()
    assert targets.collectives_of(text) == {"all-reduce": 1}
