"""Fresh seeds in rounds: all cells first, then twice as many seeds for those that more seeds are for."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from jaxgd.machine.interrupts import Interrupted, signal_of
from jaxgd.specs.wording import count_text
from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.experiment import Experiment
from jaxgd.studies.comparison.judging import Judgement, Looks, has_chance, judge, run_seconds
from jaxgd.studies.comparison.stages import Chosen, run_cells

if TYPE_CHECKING:
    import xarray as xr

# Runs take so many times as long as their updates alone, with validation and what is between programs.
_BESIDE_UPDATES = 2.0
_FIXED_SECONDS = 0.5  # of a round


class Rounds(NamedTuple):
    """The fresh runs of all rounds, what they say, and how many seeds there were after each."""

    fresh: "xr.Dataset"
    judged: Judgement
    looks: Looks


def run_rounds(
    experiment: Experiment,
    chosen: Chosen,
    first: "xr.Dataset",
    clock: "xr.Dataset",
    constant: Baseline | None,
    progress: bool,
    say: Callable[[str], None],
) -> Rounds:
    """Further rounds after the first, until nothing is undecided that matters, or seeds or seconds are spent.

    Whether a round is the last is known before its scores are looked at, from the clock: the error that later
    looks would have had is then its own.

    Raises:
        Interrupted: Ctrl-C or SIGTERM came in a further round; its `result` are the rounds before.
    """
    import xarray

    begun, fresh, counts, number = time.perf_counter(), first, experiment.seeds.rounds, 0
    cells = list(range(len(experiment.places)))  # that were run in this round
    while True:
        count, left = counts[number], experiment.seeds.seconds - (time.perf_counter() - begun)
        following = counts[number + 1] if number + 1 < len(counts) and has_chance(fresh) else None
        is_last = following is None or _cost(fresh, clock, cells, following - count) > left
        looks = Looks(tuple(counts[: number + 1]), counts[-1], is_last)
        judged = judge(fresh, clock, experiment.score, constant, looks, experiment.margin)
        if following is None or is_last or not judged.undecided:
            return Rounds(fresh, judged, looks)
        cells, number = judged.undecided, number + 1
        places = [experiment.places[cell] for cell in cells]
        seeds = experiment.seeds.fresh(count, following)
        say(f"{count_text(len(cells), 'undecided cell')} on {count_text(len(seeds), 'more fresh seed')}")
        try:
            more = run_cells(experiment, chosen, places, seeds, progress)
        except KeyboardInterrupt as stop:
            raise Interrupted(Rounds(fresh, judged, looks), signal_of(stop)) from None
        fresh = xarray.concat([fresh, more], "seed", data_vars="minimal", coords="minimal")


def _cost(fresh: "xr.Dataset", clock: "xr.Dataset", cells: list[int], num_seeds: int) -> float:
    """About how many seconds so many more seeds of these cells take."""
    return _FIXED_SECONDS + _BESIDE_UPDATES * float(run_seconds(fresh, clock)[cells].sum()) * num_seeds
