"""Sweeps: many trainers as lanes of a few programs."""

from jaxgd.sweeps.clock import throughput
from jaxgd.sweeps.result import SweepResult
from jaxgd.sweeps.run import sweep

__all__ = ["SweepResult", "sweep", "throughput"]
