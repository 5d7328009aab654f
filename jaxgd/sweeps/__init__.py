"""Sweeps: many trainers as lanes of a few programs."""

from jaxgd.machine.compilation_cache import enable_compilation_cache
from jaxgd.sweeps.calibration import Calibration, calibrate
from jaxgd.sweeps.draws import draw, int_uniform, log_uniform, uniform
from jaxgd.sweeps.function_sweeps import sweep_function
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.ranking import Best
from jaxgd.sweeps.results.result import SweepResult, load
from jaxgd.sweeps.sweeping import plan, sweep
from jaxgd.sweeps.timing import throughput
from jaxgd.sweeps.workers.unit import WorkerMismatchError

__all__ = [
    "Best",
    "Calibration",
    "Plan",
    "SweepResult",
    "WorkerMismatchError",
    "calibrate",
    "draw",
    "enable_compilation_cache",
    "int_uniform",
    "load",
    "log_uniform",
    "plan",
    "sweep",
    "sweep_function",
    "throughput",
    "uniform",
]
