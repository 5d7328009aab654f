"""The curvature at the end of every run of a sweep."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxgd.landscape.networks.objectives import CHUNK
from jaxgd.landscape.networks.planes import losses_of
from jaxgd.landscape.networks.spectra import eigenvalues_of, trace_of
from jaxgd.landscape.networks.stacks import Lanes
from jaxgd.sweeps import SweepResult
from jaxgd.sweeps.axes import entry_at
from jaxgd.training.problems.problem import Problem
from jaxgd.training.states import WITHOUT_SCORE

if TYPE_CHECKING:
    import xarray


def curvature_of(
    result: SweepResult,
    problem: Problem | Callable[[Mapping[str, Any]], Problem],
    key: jax.Array,
    *,
    probes: int = 16,
    steps: int | None = None,
    split: str = "train",
    chunk: int = CHUNK,
) -> "xarray.Dataset":
    """Sharpness, smallest eigenvalue, trace and loss at the end of every run, labelled like the sweep.

    Runs of one problem whose parameters have the same shapes are lanes of one program. The variables are
    `sharpness`, `smallest_eigenvalue`, `trace`, `trace_error` (its standard error) and `loss`; all are NaN
    where a run diverged or was not run.

    Args:
        result: of `jaxgd.sweep`, or `jaxgd.load`.
        problem: that was trained; or a function of a run's coordinates where the sweep has several.
        key: draws the starting vector and the probes, the same for every run.
        probes: of the trace.
        steps: Lanczos steps; 40 or the number of parameters if None.
        split: "train", "valid" or "test".
        chunk: examples at once.
    """
    import xarray

    dims = list(result.axes)
    names = ("sharpness", "smallest_eigenvalue", "trace", "trace_error", "loss")
    values = {name: np.full([len(axis) for axis in result.axes.values()], np.nan) for name in names}
    for of, places, params, states in _groups(result, problem):
        lanes = Lanes.of(of, params, split, chunk, states)
        ends = eigenvalues_of(lanes, key, steps)
        found = (ends.largest[..., 0], ends.smallest[..., 0], *trace_of(lanes, key, probes), losses_of(lanes))
        for name, numbers in zip(names, found, strict=True):
            values[name][places] = numbers
    coords = {name: coord for name, coord in result.dataset.coords.items() if "epoch" not in coord.dims}
    return xarray.Dataset({name: (dims, numbers) for name, numbers in values.items()}, coords)


def run_coords(result: SweepResult, index: tuple[int, ...]) -> dict[str, Any]:
    """The coordinates of the run at a place of the grid."""
    named = zip(result.axes, index, strict=True)
    return {axis: entry_at(result.dataset[axis], place) for axis, place in named}


def _groups(result: SweepResult, problem: Any) -> list[tuple[Problem, tuple, Any, Any]]:
    """`(problem, places, params, model_states)` of runs that are lanes of one program, stacked."""
    groups: dict[Any, tuple[Problem, list]] = {}
    status = result.dataset.status.transpose(*result.axes).values
    for index in zip(*np.nonzero(~np.isin(status, WITHOUT_SCORE)), strict=True):
        coords = run_coords(result, index)
        of = problem if isinstance(problem, Problem) else problem(coords)
        run = (result.params(**coords), result.model_state(**coords))
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(run))
        members = groups.setdefault((id(of), jax.tree.structure(run), shapes), (of, []))[1]
        members.append((index, run))
    stacked = []
    for of, members in groups.values():
        places = tuple(np.array(axis) for axis in zip(*(index for index, _ in members), strict=True))
        params, states = jax.tree.map(lambda *leaves: np.stack(leaves), *(run for _, run in members))
        stacked.append((of, places, params, states))
    return stacked
