"""Sweeps: many trainers as lanes of a few programs."""

from jaxgd.sweeps.clock import throughput
from jaxgd.sweeps.planner import plan
from jaxgd.sweeps.plans import Plan
from jaxgd.sweeps.ranking import Best
from jaxgd.sweeps.result import SweepResult
from jaxgd.sweeps.run import sweep
from jaxgd.sweeps.store import load

__all__ = ["Best", "Plan", "SweepResult", "load", "plan", "sweep", "throughput"]
