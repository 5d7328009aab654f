"""Sweeps: many trainers as lanes of a few programs."""

from jaxgd.machine.compilation_cache import enable_compilation_cache
from jaxgd.sweeps.draws import draw, int_uniform, log_uniform, uniform
from jaxgd.sweeps.engine.clock import throughput
from jaxgd.sweeps.planning.planner import plan
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.ranking import Best
from jaxgd.sweeps.results.result import SweepResult
from jaxgd.sweeps.store.folder import load
from jaxgd.sweeps.sweeping import sweep

__all__ = [
    "Best",
    "Plan",
    "SweepResult",
    "draw",
    "enable_compilation_cache",
    "int_uniform",
    "load",
    "log_uniform",
    "plan",
    "sweep",
    "throughput",
    "uniform",
]
