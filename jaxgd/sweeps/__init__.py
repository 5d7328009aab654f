"""Sweeps: many trainers as lanes of a few programs."""

from jaxgd.sweeps.clock import throughput
from jaxgd.sweeps.compilation_cache import enable_compilation_cache
from jaxgd.sweeps.draws import draw, int_uniform, log_uniform, uniform
from jaxgd.sweeps.planner import plan
from jaxgd.sweeps.plans import Plan
from jaxgd.sweeps.ranking import Best
from jaxgd.sweeps.result import SweepResult
from jaxgd.sweeps.run import sweep
from jaxgd.sweeps.store import load

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
