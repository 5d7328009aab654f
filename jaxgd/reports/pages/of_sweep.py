"""The page of a sweep: its best points, its figures, and the plan that was followed, in one HTML file."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgd.reports.figures.curves import curves_of
from jaxgd.reports.figures.maps import map_of
from jaxgd.reports.figures.scores import RUN, Scores, default_metric, on_the_clock, scores_of
from jaxgd.reports.figures.slices import slice_of
from jaxgd.reports.page import SMALL, Section, SortedTable, TableCell, sections_page
from jaxgd.reports.scales import seconds_text
from jaxgd.specs.wording import count_text, list_text
from jaxgd.studies.edges import edge_of
from jaxgd.sweeps import SweepResult
from jaxgd.sweeps.planning.plans import Program
from jaxgd.sweeps.results.ranking import better, check_metric
from jaxgd.training.states import NOT_RUN

_MOST_POINTS = 10  # rows of the table
_MOST_PROGRAMS = 40  # of the plan
_MOST_VIEWS = 8  # slices, and maps
_MOST_CURVES = 3  # axes that get curves


def page(result: SweepResult, metric: str | None = None, mode: str | None = None) -> str:
    """The page as a whole HTML document, plotly.js included.

    Args:
        result: a sweep's result; its seconds are measured first where it has none, see `SweepResult.clocked`.
        metric: what decides; the spec's, else the validation accuracy or loss if None.
        mode: "min" or "max", for metrics of which the name does not say it.

    Raises:
        ValueError: an unknown metric.
    """
    metric = check_decides(result, metric, mode)
    result = on_the_clock(result)
    scores = scores_of(result, metric, None, mode)
    order = np.argsort(scores.badness.values.ravel(), kind="stable")
    return sections_page(
        "jaxgd sweep",
        _headline(scores, order),
        _deck(result),
        _sections(result, scores, order),
        _facts(result),
        _warnings(scores, order),
    )


def check_decides(result: SweepResult, metric: str | None, mode: str | None) -> str:
    """The metric that decides; ValueError unless the sweep has it and it is known what is better."""
    chosen = metric or str((result.spec or {}).get("metric") or default_metric(result.dataset))
    check_metric(result.dataset, chosen)
    better(chosen, mode)
    return chosen


def _headline(scores: Scores, order: np.ndarray) -> str:
    value = scores.last.values.ravel()[order[0]]
    if math.isnan(value):
        rest = ", of which some were not run" if scores.not_run.any() else ""
        return f"At no point is {scores.metric} finite in all runs{rest}"
    columns = {name: scores.labels(name, scores.column(name)[order[:1]]) for name in scores.names}
    texts = [f"{_words(name)} {text}" for name, (text,) in columns.items()]
    if not texts:  # all axes were averaged over
        return f"Mean {_words(scores.metric)}: {scores.scale.text(float(value))}"
    return f"Best {_words(scores.metric)}: {scores.scale.text(float(value))}, at {list_text(texts)}"


def _words(name: str) -> str:
    return name.replace("valid_", "validation_").replace("_", " ")


def _deck(result: SweepResult) -> str:
    words, counts = np.unique(result.dataset.status.values, return_counts=True)
    ends = list_text([f"{count:,} {word}" for word, count in zip(words, counts, strict=True)])
    data = f" on {result.spec['data']}" if result.spec else ""
    epochs = count_text(result.dataset.sizes["epoch"], "epoch")
    return (
        f"{count_text(int(counts.sum()), 'run')} of at most {epochs}{data}: {ends}. The best of many scores "
        "is flattered by having been chosen; fresh seeds and test data are not."
    )


def _sections(result: SweepResult, scores: Scores, order: np.ndarray) -> list[Section]:
    when = (
        "in the epoch whose parameters were kept"
        if "kept_epoch" in result.dataset
        else "after the last epoch"
    )
    over = f"Means over {count_text(scores.runs.sizes[RUN], 'run')} {when}."
    found = [
        Section(
            "Learning curves",
            "For each value the best point there is: its mean as a strong line, its seeds as faint ones, × "
            "where one diverged. An epoch is the same work for all; an update is more for a larger batch.",
            [
                curves_of(scores, by, clock, {})
                for by in _curve_axes(scores)
                for clock in ("epochs", "updates")
            ],
            caption=scores.scale.note,
        ),
        _maps(scores, over),
        Section(
            "Along each axis",
            f"A dot for every point. {over} Where the axis is a grid, the line joins the best points.",
            [slice_of(scores, name) for name in scores.varied_names[:_MOST_VIEWS]],
        ),
        Section(
            "The best points",
            f"By the mean {_words(scores.metric)}; the spread is the standard deviation over runs. A heading "
            "sorts.",
            table=_best_table(scores, order[:_MOST_POINTS]),
        ),
        Section(
            "The plan",
            f"{count_text(len(result.plan.groups), 'program')}, those that run longest first. A program "
            "compiles while others run.",
            table=_plan_table(result),
        ),
    ]
    return [section for section in found if section.figures or section.table]


def _curve_axes(scores: Scores) -> Sequence[str | None]:
    """The axes that get curves: first those whose names are words or sizes."""
    known = [name for name in ("batch_size", "optimizer") if name in scores.varied]
    rest = [name for name in scores.varied if name not in (*known, "learning_rate")]
    rate = [name for name in scores.varied if name == "learning_rate"]
    return [*known, *rest, *rate][:_MOST_CURVES] or [None]


def _maps(scores: Scores, over: str) -> Section:
    """Learning rate and batch size, a map for each optimizer; other axes where those are not a grid."""
    varied = scores.varied
    numbers = [name for name in varied if scores.last[name].dtype.kind in "iuf" and name != "point"]
    axes = ["learning_rate", "batch_size"] if {"learning_rate", "batch_size"} <= set(varied) else numbers[:2]
    parts: list[dict[str, Any]] = [{}]
    if "optimizer" in varied and "learning_rate" in axes:
        parts = [{"optimizer": name} for name in scores.last.optimizer.values.tolist()[:_MOST_VIEWS]]
    maps = [map_of(scores, *axes, ridge=None, where=part) for part in parts] if len(axes) > 1 else []
    words = f"{over} The line joins the best of each row."
    return Section("Over two axes", words, maps, columns=SMALL if len(maps) > 2 else 2)


def _best_table(scores: Scores, order: np.ndarray) -> SortedTable:
    columns = [scores.labels(name, scores.column(name)[order]) for name in scores.names]
    of_runs = [x.transpose(*scores.axes, RUN).values for x in (scores.final, scores.not_run)]
    runs, absent = (x.reshape(-1, scores.final.sizes[RUN])[order] for x in of_runs)
    made = scores.clocks["updates"].isel(epoch=-1).max(RUN).transpose(*scores.axes).values.ravel()[order]
    counts = ["runs diverged", *(["runs not run"] if scores.not_run.any() else [])]
    head = [*map(_words, scores.names), _words(scores.metric), "spread", *counts, "updates"]
    rows = []
    for place, values in enumerate(runs):
        missing = int(absent[place].sum())
        lost = int(np.isnan(values).sum()) - missing
        spread = _spread(scores, values) if len(values) > 1 and not lost + missing else "–"
        mean = NOT_RUN if missing else scores.scale.text(float(values.mean()))
        numbers = [str(lost), str(missing)][: len(counts)]
        rows.append([*(c[place] for c in columns), mean, spread, *numbers, f"{made[place]:,}"])
    return SortedTable(head, rows)


def _spread(scores: Scores, values: np.ndarray) -> str:
    spread = float(values.std(ddof=1))
    return f"{100 * spread:.1f} %" if scores.scale.kind == "fraction" else f"{spread:.2g}"


def _warnings(scores: Scores, order: np.ndarray) -> list[str]:
    """What a reader must know before the best point is believed."""
    found = []
    if missing := int(scores.not_run.sum()):
        found.append(
            f"The sweep was interrupted: {missing:,} of {count_text(scores.not_run.size, 'run')} were not "
            "run, and points that lack one are not compared."
        )
    if scores.runs.sizes[RUN] == 1:
        found.append("Each point is one run: what looks better may be chance. Add an axis of seeds.")
    best = np.unravel_index(order[0], scores.last.shape)
    for name, place in zip(scores.axes, best, strict=True):
        values = scores.last[name].values
        if values.dtype.kind not in "iuf" or values.size < 3 or name in ("point", "batch_size"):
            continue
        if end := edge_of(values, values[place]):
            text = scores.labels(name, values[place : place + 1])[0]
            found.append(
                f"The best {_words(name)}, {text}, is the {end} that was tried: better may lie beyond."
            )
    return found


def _facts(result: SweepResult) -> dict[str, str]:
    spec: dict[str, Any] = dict(result.spec or {})
    sizes = " × ".join(f"{len(values)} {_words(name)}" for name, values in result.axes.items())
    facts = {"Data": spec.get("data", ""), "Grid": sizes}
    facts["Fixed"] = ", ".join(f"{_words(name)} {value}" for name, value in spec.get("fixed", {}).items())
    for name in ("early_stopping", "budget"):
        facts[_words(name).capitalize()] = ", ".join(f"{k} {v}" for k, v in spec.get(name, {}).items())
    plan = result.plan
    facts["Epochs"] = f"{plan.epochs}"
    facts["Time"] = (
        "" if plan.seconds is None else f"{seconds_text(plan.seconds)} in all, compilation included"
    )
    facts["Device"] = plan.device
    facts["Seeds"] = str(result.dataset.attrs.get("seed_policy", ""))
    facts["Versions"] = ", ".join(f"{name} {version}" for name, version in plan.versions.items())
    return {name: text for name, text in facts.items() if text}


def _plan_table(result: SweepResult) -> SortedTable | None:
    """A row for each program of the plan."""
    rows = [
        {
            **_named(group),
            "runs": f"{len(group.runs):,}",
            "how": str(group.recipe),
            "compile": _took(group.compile_seconds),
            "run": _took(group.run_seconds),
            "why": group.reason,
        }
        for group in result.plan.groups[:_MOST_PROGRAMS]
    ]
    return SortedTable.of(rows) if rows else None


def _named(program: Program) -> dict[str, str]:
    """What a program trains: a function has no batch size."""
    if not program.batch_size:
        return {"function": program.optimizer}
    return {"optimizer": program.optimizer, "batch size": program.batch_size}


def _took(seconds: float | None) -> TableCell:
    return TableCell("–", "") if seconds is None else TableCell(seconds_text(seconds), seconds)
