"""What the manifest of a sweep under way says: its axes, its programs, and which of their runs have ended."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgd.arguments import whole_number, whole_number_or_none
from jaxgd.sweeps.axes import label
from jaxgd.sweeps.blocks import states_of
from jaxgd.sweeps.planning.plans import Plan, Program
from jaxgd.sweeps.results.dataset import assemble
from jaxgd.sweeps.results.units import SavedRuns, runs_names, runs_of_arrays
from jaxgd.sweeps.store.files import damage_named
from jaxgd.sweeps.store.folder import read_file
from jaxgd.sweeps.store.manifest import MANIFEST
from jaxgd.sweeps.store.unit_files import key_of


class Unit(NamedTuple):
    """A program of a sweep, with what a folder has of it.

    identity: what its numbers depend on, None before it was compiled. runs: places of those that have ended,
    as the file holds them. file, checkpoint: names in the manifest, None where there is none.
    """

    program: Program
    identity: Mapping[str, str] | None = None
    runs: tuple[int, ...] = ()
    file: str | None = None
    checkpoint: str | None = None

    @property
    def key(self) -> str:
        """What its file in a shared folder is called by; its identity is known."""
        assert self.identity is not None
        return key_of(self.identity)

    @property
    def is_done(self) -> bool:
        """Whether every run has ended."""
        return len(self.runs) == len(self.program.runs)


class Record(NamedTuple):
    """A sweep as its manifest describes it.

    plan: without its programs, which are those of the units. axes: labels of the values. num_examples: in the
    training data, None of functions. measured: names of a history. data: SHA-256 of the splits of each
    problem. clock: whether updates were to be timed alone; which were, the files of the units say.
    """

    plan: Plan
    axes: Mapping[str, Sequence[Any]]
    num_examples: int | None
    measured: Sequence[str]
    data: Sequence[str]
    clock: bool
    exact: bool
    spec: Mapping[str, Any] | None
    units: tuple[Unit, ...]

    @property
    def whole_plan(self) -> Plan:
        """The plan with its programs."""
        return dataclasses.replace(self.plan, groups=tuple(unit.program for unit in self.units))

    def content(self) -> dict[str, Any]:
        """What a manifest says of it."""
        units = [
            {**unit._asdict(), "runs": list(unit.runs), "program": place}
            for place, unit in enumerate(self.units)
        ]
        return {
            "versions": dict(self.plan.versions),
            "device": self.plan.device,
            "axes": self.axes,
            "num_examples": self.num_examples,
            "measured": list(self.measured),
            "data": list(self.data),
            "clock": self.clock,
            "exact": self.exact,
            "spec": self.spec,
            "plan": self.whole_plan.to_dict(),
            "units": units,
        }


def is_record(manifest: Mapping[str, Any] | None) -> bool:
    """Whether a manifest is that of a sweep that is kept as it goes, and not of a result that was saved."""
    return manifest is not None and "units" in manifest


def record_of(folder: Path, manifest: Mapping[str, Any]) -> Record:
    """The record that a manifest's content was made from.

    Raises:
        ValueError: it is damaged: a program that no plan has, files that it does not name.
    """
    with damage_named(folder / MANIFEST):
        plan = Plan.from_dict(manifest["plan"])
        units = tuple(_unit_of(plan.groups, entry) for entry in manifest["units"])
        record = Record(
            plan=dataclasses.replace(plan, groups=()),
            axes={str(name): list(values) for name, values in manifest["axes"].items()},
            num_examples=whole_number_or_none("num_examples", manifest["num_examples"]),
            measured=_texts(manifest["measured"]),
            data=_texts(manifest["data"]),
            clock=_switch(manifest["clock"]),
            exact=_switch(manifest["exact"]),
            spec=manifest["spec"],
            units=units,
        )
        check_labels(record.axes)
        _check_record(record, manifest["files"])
    return record


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{values!r:.80} is no list of texts")
    return values


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.80} is neither true nor false")
    return value


def _unit_of(programs: Sequence[Program], entry: Mapping[str, Any]) -> Unit:
    program = programs[whole_number("program", entry["program"], least=0)]
    if entry["identity"] is not None:
        _texts([*entry["identity"].values()])
    return Unit(**{**entry, "program": program, "runs": tuple(entry["runs"])})


def _check_record(record: Record, files: Mapping[str, Any]) -> None:
    """Raise ValueError unless every run is in one unit, and the units' runs and files are there."""
    places = sorted(place for unit in record.units for place in unit.program.runs)
    shape = [len(values) for values in record.axes.values()]
    if places != list(range(record.plan.num_runs)) or math.prod(shape) != len(places):
        raise ValueError("its units are not those of its axes")
    if not isinstance(record.spec, dict | None):
        raise ValueError("its spec is no table")
    named = {name for unit in record.units for name in (unit.file, unit.checkpoint)} - {None}
    if named != files.keys():
        raise ValueError("the files of its units are not those that it names")
    for unit in record.units:
        if any(type(place) is not int for place in unit.runs):
            raise ValueError("a unit has runs that are no whole numbers")
        if not set(unit.runs) <= set(unit.program.runs) or len(set(unit.runs)) != len(unit.runs):
            raise ValueError("a unit has runs that are not its program's")
        if unit.identity is None and (unit.runs or unit.checkpoint):
            raise ValueError("a unit with runs does not say what they depend on")
        if bool(unit.runs) != (unit.file is not None):
            raise ValueError("a unit without a file has runs, or one with a file has none")


def saved_runs(folder: Path, manifest: Mapping[str, Any], unit: Unit, like: Any) -> SavedRuns | None:
    """The runs of a unit that have ended, None where there are none.

    Raises:
        FileNotFoundError: its file is missing.
        ValueError: the file is damaged.
    """
    if unit.file is None:
        return None
    path, arrays, about = read_file(folder, manifest, unit.file, runs_names)
    with damage_named(path):
        return runs_of_arrays(arrays, about, unit.runs, manifest["plan"]["epochs"], like)


def result_parts(folder: Path, manifest: Mapping[str, Any], like: Any) -> tuple[Any, ...]:
    """Dataset, plan, axes, states, spec and data of a sweep that a folder keeps, of runs that have ended.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged.
    """
    record = record_of(folder, manifest)
    blocks, num_runs = [], record.plan.num_runs
    seconds = np.full(num_runs, np.nan)
    for unit in record.units:
        saved = saved_runs(folder, manifest, unit, like)
        if saved is None:
            continue
        blocks.append(saved.block)
        if saved.seconds_per_update is not None:
            seconds[list(unit.runs)] = saved.seconds_per_update
    with damage_named(folder / MANIFEST):
        plan = record.whole_plan
        rates = seconds.tolist() if np.isfinite(seconds).any() else None
        dataset = assemble(record.axes, record.num_examples, blocks, rates, plan, record.measured)
    return dataset, plan, record.axes, states_of(blocks, num_runs), record.spec, record.data


def labels_of(axes: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The values of axes for JSON: labels, and for one point of many values a label of each."""
    return {name: [_plain(value) for value in values] for name, values in axes.items()}


def check_labels(axes: Mapping[str, Sequence[Any]]) -> None:
    """Raise ValueError unless every value of every axis is what `labels_of` gives."""
    for name, values in axes.items():
        items = [
            item for value in values for item in (value.values() if isinstance(value, dict) else [value])
        ]
        are_points = {isinstance(value, dict) and len(value) > 0 for value in values}
        if len(are_points) != 1 or {} in values or any(isinstance(item, list | dict) for item in items):
            raise ValueError(f"the values of axis {name!r} are none of an axis")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: label(item) for name, item in value.items()}
    return label(value)
