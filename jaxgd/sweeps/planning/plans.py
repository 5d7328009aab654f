"""The plan of a sweep: its programs, how each runs its lanes, and why."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from jaxgd import __version__
from jaxgd.sweeps.planning.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class PlannedGroup:
    """One program of a sweep.

    Attributes:
        optimizer: of its runs; several where they share the program.
        batch_size: of its runs, in words.
        runs: places in the grid of its runs, the last axis varying fastest.
        recipe: how it runs them.
        reason: why that recipe.
        predicted_compile_seconds: of its program, with nothing compiled.
        predicted_run_seconds: of all its runs, on all devices.
        predicted_bytes: on each device.
        compile_seconds: as it was, None before.
        run_seconds: as it was, None before.
    """

    optimizer: str
    batch_size: str
    runs: tuple[int, ...]
    recipe: Recipe
    reason: str
    predicted_compile_seconds: float
    predicted_run_seconds: float
    predicted_bytes: int
    compile_seconds: float | None = None
    run_seconds: float | None = None

    def __str__(self):
        lines = [
            f"{len(self.runs)} runs, batch {self.batch_size}, {self.optimizer}",
            f"  {self.recipe}: {self.reason}",
            f"  predicted: compile {self.predicted_compile_seconds:.1f} s, run "
            f"{self.predicted_run_seconds:.2g} s, {self.predicted_bytes / 1e6:.3g} MB on each device",
        ]
        if self.run_seconds is not None:
            lines.append(f"  took: compile {self.compile_seconds:.1f} s, run {self.run_seconds:.2g} s")
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The programs of a sweep, those that run longest first.

    Attributes:
        groups: the programs.
        epochs: of each run.
        device: what it was made for, such as "2 x cpu".
        versions: of jaxgd, jax, jaxlib, optax and numpy.
        num_runs: points of the grid.
        seconds: wall time of the sweep, None before.
        clock_seconds: of them, for timing updates alone.
    """

    groups: tuple[PlannedGroup, ...]
    epochs: int
    device: str
    versions: Mapping[str, str]
    num_runs: int
    seconds: float | None = None
    clock_seconds: float | None = None

    def __repr__(self):
        counts = (self.num_runs, "run"), (self.epochs, "epoch"), (len(self.groups), "program")
        texts = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts]
        lines = [f"{texts[0]} of {texts[1]} in {texts[2]} on {self.device}"]
        if self.seconds is not None:
            lines[0] += f": {self.seconds:.1f} s, of which {self.clock_seconds:.1f} s to time updates alone"
        for number, group in enumerate(self.groups, 1):
            lines += [f"{number}. " + str(group).replace("\n", "\n   ")]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON can hold it."""
        groups = [
            {**vars(group), "runs": list(group.runs), "recipe": group.recipe._asdict()}
            for group in self.groups
        ]
        return {**vars(self), "groups": groups, "versions": dict(self.versions)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Plan":
        """The plan that `to_dict` made a dict.

        Raises:
            ValueError: it holds a number that no plan has.
            TypeError: it has not the entries of a plan.
        """
        if not isinstance(saved["groups"], list | tuple):
            raise TypeError(f"groups of a plan must be a list, got {saved['groups']!r}")
        groups = tuple(
            PlannedGroup(**{**group, "runs": tuple(group["runs"]), "recipe": Recipe(**group["recipe"])})
            for group in saved["groups"]
        )
        made = cls(**{**saved, "groups": groups})
        _check_count("epochs", made.epochs)
        _check_count("num_runs", made.num_runs)
        for group in groups:
            for name in ("lanes", "devices", "width"):
                _check_count(name, getattr(group.recipe, name))
        runs = [run for group in groups for run in group.runs]
        if any(type(run) is not int or not 0 <= run < made.num_runs for run in runs):
            raise ValueError(f"runs of a plan must be whole numbers below num_runs, {made.num_runs}")
        return made


def _check_count(name: str, value: Any) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} of a plan must be a whole number of at least 1, got {value!r}")


def versions() -> dict[str, str]:
    """The versions on which numbers depend."""
    packages = ("jax", "jaxlib", "optax", "numpy")
    own = {"jaxgd": __version__, "python": platform.python_version()}
    return own | {name: importlib.metadata.version(name) for name in packages}
