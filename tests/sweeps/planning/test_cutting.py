"""Units: every run is in one, runs that move at once stay together, and parts share nothing."""

import pytest

import jaxgd
from jaxgd.sweeps.axes import checked_axes
from jaxgd.sweeps.planning import cutting
from jaxgd.sweeps.planning.cutting import SweepPart, checked_part, cut, cut_all, dealt
from jaxgd.sweeps.runs import checked_runs

PROBLEM = jaxgd.classification(jaxgd.linear(64, 10), *jaxgd.datasets.load("digits"))
AXES = {"batch_size": [64, 256], "learning_rate": [0.01, 0.02, 0.05, 0.1], "seed": [0, 1, 2]}


def make(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), hp.batch_size)


def programs_and_runs(axes=AXES, **options):
    plan = jaxgd.plan(make, axes, 2, **options)
    return plan.groups, checked_runs(make, checked_axes(axes), 2)[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"merge": False},
        {"merge": True, "width": 4},
        {"merge": 64},
        {"kind": "vmap", "lanes": 2},
        {"exact": True},
        {"generalize": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("seconds", [1e-9, 1e-3, 1e9])
def test_every_run_is_in_one_unit_of_its_programs_recipe(options, seconds):
    programs, runs = programs_and_runs(**options)
    for program in programs:
        units = cut(program, runs, seconds)
        assert sorted(run for unit in units for run in unit.runs) == sorted(program.runs)
        assert {unit.recipe for unit in units} == {program.recipe}
        predicted = sum(unit.predicted_run_seconds for unit in units)
        assert predicted == pytest.approx(program.predicted_run_seconds)
        assert len(units) == 1 or seconds < 1e9


def test_each_unit_has_every_batch_size_and_what_moves_at_once():
    (program,), runs = programs_and_runs(AXES | {"seed": range(8)}, merge=True, width=4)
    assert program.recipe.shares_batches
    units = cut(program, runs, 1e-9)
    assert len(units) > 1
    for unit in units:
        members = [runs[place] for place in unit.runs]
        sizes = [run.trainer.batch_size.value for run in members]
        assert set(sizes) == {64, 256}
        for size in (64, 256):
            seeds = [run.seed for run, own in zip(members, sizes, strict=True) if own == size]
            assert all(seeds.count(seed) == 4 for seed in seeds)


def test_lanes_at_once_fill_their_places():
    programs, runs = programs_and_runs(kind="vmap", lanes=3)
    for program in programs:
        units = cut(program, runs, 1e-9)
        assert all(len(unit.runs) >= program.recipe.slots for unit in units)


def test_short_sweeps_are_not_cut():
    programs, runs = programs_and_runs()
    assert len(cut_all(programs, runs, 4, is_given=False)) == len(programs)


def test_fewer_lanes_move_at_once_where_there_are_more_processes(monkeypatch):
    monkeypatch.setattr(cutting, "_LEAST_SECONDS", 1e-9)
    programs, runs = programs_and_runs(AXES | {"seed": range(4)}, merge=True, width=8)
    assert {program.recipe.width for program in programs} == {8}
    for processes, width in ((1, 8), (2, 4), (4, 2), (8, 1), (100, 1)):
        units = cut_all(programs, runs, processes, is_given=False)
        assert {unit.recipe.width for unit in units} == {width}
        assert sorted(run for unit in units for run in unit.runs) == list(range(32))
    assert {unit.recipe for unit in cut_all(programs, runs, 8, is_given=True)} == {programs[0].recipe}


def test_parts_share_nothing_and_leave_nothing():
    seconds = {f"unit {place}": 1.0 + place % 3 for place in range(23)}
    parts = [dealt(seconds, SweepPart(number, 5)) for number in range(1, 6)]
    assert sorted(key for part in parts for key in part) == sorted(seconds)
    loads = [sum(seconds[key] for key in part) for part in parts]
    assert max(loads) - min(loads) <= 3.0
    assert dealt(dict(reversed(seconds.items())), SweepPart(2, 5)) == parts[1]


def test_units_of_no_predicted_time_are_dealt_too():
    assert [len(dealt(dict.fromkeys("abcd", 0.0), SweepPart(number, 2))) for number in (1, 2)] == [2, 2]


@pytest.mark.parametrize("part", [(1, 1), (4, 4)])
def test_a_part(part):
    assert checked_part(part) == part


@pytest.mark.parametrize(
    ("part", "error", "match"),
    [
        ((0, 4), ValueError, "number of a part must be"),
        ((5, 4), ValueError, r"part is \(5, 4\): the number of a part must be from 1 to 4"),
        ((1, 0), ValueError, "number of parts"),
        ("1/4", TypeError, "such as \\(2, 4\\) for the second of 4 parts"),
        ((1, 2, 3), TypeError, "must be \\(number, of\\)"),
        ((1.5, 2), (TypeError, ValueError), "number of a part"),
    ],
)
def test_no_part(part, error, match):
    with pytest.raises(error, match=match):
        checked_part(part)
