"""The plan of a sweep: its programs, how each runs its lanes, and why."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxgd.arguments import one_of, whole_number
from jaxgd.html_text import card
from jaxgd.sweeps.planning.constants import Core

# Programs that a notebook shows of a plan.
_MOST_SHOWN = 20


class Recipe(NamedTuple):
    """What the bits of a lane depend on, besides versions and the kind of device.

    kind: "map" (a device runs its lanes one after the other, each with the bits of a run alone) or "vmap"
    (all at once). lanes: that a device holds. devices: how many. microbatch: examples per gradient where
    several batch sizes share the program as a number, else None. generalized: whether several optimizers
    share it. branches: whether several batch sizes share it, each with a loop of its own. width: lanes in
    turn that a device moves at once, of one batch size; from 2 on, none has the bits of the run alone.
    shares_batches: whether `width` lanes side by side, of either kind, have one seed and so one order of the
    examples: each of their batches is gathered once for all of them.
    """

    kind: str
    lanes: int
    devices: int
    microbatch: int | None = None
    generalized: bool = False
    branches: bool = False
    width: int = 1
    shares_batches: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether a device moves one lane at a time."""
        return self.kind == "map" and self.width == 1

    @property
    def alone(self) -> "Recipe":
        """The recipe by which a device holds and moves one lane."""
        return self._replace(kind="map", lanes=1, width=1, shares_batches=False)

    @property
    def is_merged(self) -> bool:
        """Whether runs that differ in batch size or optimizer share the program."""
        return self.microbatch is not None or self.branches or self.generalized

    @property
    def slots(self) -> int:
        """Lanes that all devices hold together."""
        return self.lanes * self.devices

    def __str__(self):
        how = " one after the other" if self.kind == "map" else " at once"
        how = f", {self.width} at a time," if self.kind == "map" and self.width > 1 else how
        lanes = f"{self.lanes} lanes{how}" if self.lanes > 1 else "1 lane"
        where = f"each of {self.devices} devices" if self.devices > 1 else "1 device"
        parts = [f"{lanes} on {where}"]
        if self.microbatch is not None:
            parts.append(f"batch sizes merged in micro-batches of {self.microbatch}")
        if self.shares_batches:
            parts.append(f"{self.width} of one seed share each batch")
        if self.branches:
            parts.append("a loop for each batch size")
        if self.generalized:
            parts.append("optimizers merged")
        return ", ".join(parts)


@dataclasses.dataclass(frozen=True)
class Program:
    """One program of a sweep.

    Attributes:
        optimizer: of its runs; several where they share the program. Of a person's own function its name,
            with the values that are structure.
        batch_size: of its runs, in words; "" of a function.
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

    @property
    def name(self) -> str:
        """Such as "batch 32, adam", or of a person's own function "train(width=32)"."""
        return f"batch {self.batch_size}, {self.optimizer}" if self.batch_size else self.optimizer

    @property
    def title(self) -> str:
        """Such as "8 runs, batch 32, adam"."""
        return f"{len(self.runs)} runs, {self.name}"

    @property
    def costs(self) -> tuple[str, str, str]:
        """Seconds to compile, seconds to run and megabytes as they were, or as they are predicted."""
        compiling, running, about = self.compile_seconds, self.run_seconds, "≈\u00a0"
        compiled = f"{about}{self.predicted_compile_seconds:.1f}" if compiling is None else f"{compiling:.1f}"
        ran = f"{about}{self.predicted_run_seconds:.2g}" if running is None else f"{running:.2g}"
        return compiled, ran, f"{about}{self.predicted_bytes / 1e6:.3g}"

    def __str__(self):
        lines = [
            self.title,
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
        constants: of a core of the machine, which it was chosen by; None in plans saved by earlier versions.
    """

    groups: tuple[Program, ...]
    epochs: int
    device: str
    versions: Mapping[str, str]
    num_runs: int
    seconds: float | None = None
    clock_seconds: float | None = None
    constants: Mapping[str, float] | None = None

    @property
    def title(self) -> str:
        """Such as "24 runs of 3 epochs in 2 programs on 2 x cpu"."""
        counts = (self.num_runs, "run"), (self.epochs, "epoch"), (len(self.groups), "program")
        texts = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts]
        return f"{texts[0]} of {texts[1]} in {texts[2]} on {self.device}"

    def __repr__(self):
        lines = [self.title]
        if self.seconds is not None:
            lines[0] += f": {self.seconds:.1f} s, of which {self.clock_seconds:.1f} s to time updates alone"
        for number, group in enumerate(self.groups, 1):
            lines += [f"{number}. " + str(group).replace("\n", "\n   ")]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = ("program", "how", "compile, s", "run, s", "MB on each device")
        shown = self.groups[:_MOST_SHOWN]
        rows = [(group.title, str(group.recipe), *group.costs) for group in shown]
        notes = [] if self.seconds is None else [f"took {self.seconds:.1f} s in all"]
        if len(shown) < len(self.groups):
            notes.append(f"the first {len(shown)} of {len(self.groups)} programs; print(plan) shows all")
        return card(self.title, rows, head, notes)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON can hold it."""
        groups = [
            {**vars(group), "runs": list(group.runs), "recipe": group.recipe._asdict()}
            for group in self.groups
        ]
        constants = None if self.constants is None else dict(self.constants)
        return {**vars(self), "groups": groups, "versions": dict(self.versions), "constants": constants}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Plan":
        """The plan that `to_dict` made a dict.

        Raises:
            ValueError, TypeError: it holds a number that no plan has, or has not the entries of a plan.
        """
        if not isinstance(saved["groups"], list | tuple):
            raise TypeError(f"groups of a plan must be a list, got {saved['groups']!r}")
        if not all(isinstance(group["runs"], list | tuple) for group in saved["groups"]):
            raise TypeError("runs of a plan must be lists")
        groups = tuple(
            Program(**{**group, "runs": tuple(group["runs"]), "recipe": Recipe(**group["recipe"])})
            for group in saved["groups"]
        )
        made = cls(**{**saved, "groups": groups})
        whole_number("epochs of a plan", made.epochs)
        whole_number("num_runs of a plan", made.num_runs)
        for group in groups:
            for name in ("lanes", "devices", "width"):
                whole_number(f"{name} of a plan", getattr(group.recipe, name))
            if group.recipe.microbatch is not None:
                whole_number("microbatch of a plan", group.recipe.microbatch)
            one_of("kind of a plan", group.recipe.kind, ("map", "vmap"))
            for name in ("branches", "generalized", "shares_batches"):
                if not isinstance(getattr(group.recipe, name), bool):
                    raise TypeError(f"{name} of a plan must be true or false")
        _check_kinds(made, ("device",), (), ("seconds", "clock_seconds"))
        if not all(isinstance(version, str) for version in dict(made.versions).values()):
            raise TypeError(f"versions of a plan must be texts, got {made.versions!r:.80}")
        _check_constants(made.constants)
        for group in groups:
            texts, numbers = ("optimizer", "batch_size", "reason"), ("predicted_compile_seconds",)
            numbers = (*numbers, "predicted_run_seconds", "predicted_bytes")
            _check_kinds(group, texts, numbers, ("compile_seconds", "run_seconds"))
        runs = [run for group in groups for run in group.runs]
        if any(type(run) is not int or not 0 <= run < made.num_runs for run in runs):
            raise ValueError(f"runs of a plan must be whole numbers below num_runs, {made.num_runs}")
        if len(set(runs)) < len(runs):
            raise ValueError("a run of a plan must be in one program")
        return made


# Plans that were saved before these were constants lack them.
_LATER_CONSTANTS = {"conv_shared", "gather", "channels"}


def _check_constants(constants: Any) -> None:
    """Raise TypeError or ValueError unless these are the numbers of a `Core` by name, or None."""
    if constants is None:
        return
    if not isinstance(constants, Mapping):
        raise TypeError(f"constants of a plan must be numbers by name, got {constants!r:.80}")
    for name, value in constants.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} in the constants of a plan is {value!r:.80}")
    if missing := set(Core._fields) - set(constants) - _LATER_CONSTANTS:
        raise ValueError(f"the constants of a plan lack {', '.join(sorted(missing))}")


def _check_kinds(part: Any, texts: Sequence[str], numbers: Sequence[str], or_none: Sequence[str]) -> None:
    """Raise TypeError unless these attributes are texts, numbers, and numbers or None."""
    kinds = dict.fromkeys(texts, str) | dict.fromkeys(numbers, int | float)
    for name, kind in (kinds | dict.fromkeys(or_none, int | float | None)).items():
        value = getattr(part, name)
        if (
            not isinstance(value, kind)
            or isinstance(value, bool)
            or (isinstance(value, int | float) and value < 0)
        ):
            raise TypeError(f"{name} of a plan is {value!r:.80}")
