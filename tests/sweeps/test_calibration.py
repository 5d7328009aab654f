"""Constants from what probes take: those that were put in come out; and the measurement itself."""

import jax
import pytest

import jaxgd
from jaxgd.sweeps.calibration import PROBES, measured_core
from jaxgd.sweeps.planning import constants
from jaxgd.sweeps.planning.constants import CORE, MEASURED, core_of
from jaxgd.sweeps.planning.costs import Work, compile_seconds, example_seconds
from jaxgd.sweeps.planning.plans import Recipe
from jaxgd.sweeps.probes import Probed

TIMES = dict.fromkeys(("flop", "output", "conv_flop"), 3.0) | {
    "compile": 0.5,
    "step": 1.5,
    "batch": 2.0,
    "step_saved": 0.7,
    "batch_saved": 1.3,
    "cached": 0.5,
    "uncached": 0.6,
}
MACHINE = CORE._replace(**{name: times * getattr(CORE, name) for name, times in TIMES.items()})


def as_predicted(probe, core):
    """What a probe takes on a machine with these constants."""
    pairs = list(zip(probe.layers, probe.layers[1:], strict=False))
    weights, outputs = sum(a * b for a, b in pairs), sum(b for _, b in pairs)
    work = Work(6.0 * weights, 3.0 * outputs, 4.0 * (weights + outputs), 2 * len(pairs), moments=0.0)
    rate = core.cached if 4 * work.bytes < core.cache else core.uncached

    def seconds(size):
        name = "step" if size == 1 else "batch"
        fixed = getattr(core, name) - (getattr(core, f"{name}_saved") if probe.width > 1 else 0)
        return fixed + size * example_seconds(work, core) + core.passes * work.bytes / rate

    return Probed(work, {size: seconds(size) for size in probe.batch_sizes})


def test_the_constants_of_a_machine_come_out():
    found = {probe: as_predicted(probe, MACHINE) for probe in PROBES}
    recipe = Recipe("map", 1, 1)
    compiling = MACHINE.compiling * sum(
        compile_seconds(seen.work, recipe, len(probe.batch_sizes), MACHINE) for probe, seen in found.items()
    )
    core = measured_core(found, compiling)
    for name in MEASURED:
        assert getattr(core, name) == pytest.approx(getattr(MACHINE, name), rel=0.05), name
    assert core._replace(**{name: getattr(CORE, name) for name in MEASURED}) == CORE


def test_what_cannot_be_keeps_its_default():
    found = {probe: as_predicted(probe, CORE) for probe in PROBES}
    found = {probe: seen._replace(seconds=dict.fromkeys(seen.seconds, 0.0)) for probe, seen in found.items()}
    assert measured_core(found, 0.0) == CORE


@pytest.mark.slow
def test_a_machine_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    constants._read.cache_clear()
    told = []
    found = jaxgd.calibrate(progress=lambda done, total, text: told.append((done, total)))
    assert told == [(done, len(PROBES)) for done in range(1, len(PROBES) + 1)]
    assert found.file.exists()
    assert found.constants == core_of(jax.devices())._asdict()
    assert found.defaults == CORE._asdict()
    assert str(found).count("\n") == len(MEASURED) + 1
    constants._read.cache_clear()
