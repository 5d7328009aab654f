"""What is left of a comparison that Ctrl-C or SIGTERM ended."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jaxgd.machine.interrupts import Interrupted, signal_of
from jaxgd.studies.comparison.conclusions import Comparison
from jaxgd.studies.comparison.experiment import Experiment
from jaxgd.studies.comparison.judging import Looks, judge
from jaxgd.studies.comparison.rounds import Rounds
from jaxgd.studies.comparison.stages import no_clock
from jaxgd.sweeps import SweepResult

if TYPE_CHECKING:
    import xarray as xr


def after_grid(stop: KeyboardInterrupt, grid: SweepResult) -> Interrupted:
    """What to raise before the first round is complete: the stage under way, and the grid."""
    result = getattr(stop, "result", None)
    found = Interrupted(grid if result is None else result, signal_of(stop), str(stop) or "interrupted")
    found.earlier["grid"] = grid
    return found


def after_first_round(
    stop: KeyboardInterrupt,
    experiment: Experiment,
    first: "xr.Dataset",
    made: Callable[..., Comparison],
    ticks: list[float],
    known: dict[str, Any],
) -> Interrupted:
    """What to raise from the first round on: the comparison of what was complete, which says what was not."""
    clock = known["clock"]
    lacks = (
        ["the clock is left out: of equals the one with the fewest updates is taken"] if clock is None else []
    )
    known["clock"] = no_clock(experiment) if clock is None else clock
    rounds = getattr(stop, "result", None)
    if rounds is None:
        counts = experiment.seeds.rounds  # whatever was to follow has its share of the error
        looks = Looks(tuple(counts[:1]), counts[-1], len(counts) == 1)
        judged = judge(first, known["clock"], experiment.score, known["constant"], looks, experiment.margin)
        rounds = Rounds(first, judged, looks)
    lacks += ["further rounds of fresh seeds are left out"] if not rounds.looks.last else []
    text = f"Interrupted: {'; '.join(lacks) or 'all that was to be trained was'}."
    comparison = made(rounds=rounds, ticks=ticks, **known)
    comparison = replace(comparison, warnings=[text, *comparison.warnings])
    return Interrupted(
        comparison, signal_of(stop), "interrupted; .result is the comparison of what was complete"
    )
