"""The page of `jaxgd landscape DIR`: the curvature of a sweep's runs, and planes around a few of them."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jaxgd.landscape.networks.close_up import SweepLandscape
from jaxgd.reports.figures.planes import loss_lines, plane_contours
from jaxgd.reports.figures.spectra import sharpness_curves, spectral_densities
from jaxgd.reports.page import Section, SortedTable, sections_page
from jaxgd.reports.scales import rounded, seconds_text, short_count
from jaxgd.reports.style import colour_of, layout_with_legend, log_axis, symbol_of
from jaxgd.specs.wording import count_text, list_text
from jaxgd.sweeps.axes import entry_at

_AXES = {"batch_size": "batch size", "learning_rate": "learning rate"}


def landscape_page(
    landscape: SweepLandscape, data: str, about: Mapping[str, str], is_whole: bool = True
) -> str:
    """The page of a sweep's landscape: a whole HTML document.

    Args:
        landscape: of `look`.
        data: what was trained on.
        about: further facts for its last section, by name.
        is_whole: False where `look` was interrupted, which the page then says.
    """
    sections = [_ends(landscape), *_near(landscape), *_line(landscape)]
    deck = (
        f"Sharpness is the largest eigenvalue of the Hessian of the mean training loss ({data}), in "
        "evaluation mode, by Lanczos’ recursion."
    )
    sizes = " × ".join(f"{_axis(name)} {len(values)}" for name, values in landscape.result.axes.items())
    facts = {
        "Data": data,
        "Sweep": f"{sizes}, {count_text(landscape.result.dataset.sizes['epoch'], 'epoch')}",
    }
    facts |= {**about, "Time": f"{seconds_text(landscape.seconds)}, compilation included"}
    lacks = [] if is_whole else ["Interrupted: runs that were to be looked at are left out."]
    headline = _headline(landscape) if is_whole or landscape.runs else "The curvature of every run"
    warnings = [*lacks, *_warnings(landscape)]
    return sections_page("jaxgd landscape", headline, deck, sections, facts, warnings)


def _axis(name: str) -> str:
    return _AXES.get(name, name.replace("_", " "))


def _headline(landscape: SweepLandscape) -> str:
    """The sharpness of what was looked at, from the flattest to the sharpest."""
    values = {run.name: _over_seeds(landscape, run.coords) for run in landscape.runs}
    values = dict(sorted(values.items(), key=lambda item: item[1][0]))
    if not values:
        return "Every run diverged" if not _missing(landscape) else "No point has all of its runs"
    texts = [f"{_with_spread(*value)} at {name}" for name, value in values.items()]
    if len(texts) == 1:
        return f"Sharpness {texts[0]}"
    return f"Sharpness from {texts[0]} to {texts[-1]}, each at its best"


def _over_seeds(landscape: SweepLandscape, coords: Mapping[str, Any]) -> tuple[float, float]:
    """Mean and standard deviation of the sharpness of a point's runs."""
    place = {name: value for name, value in coords.items() if name != "seed"}
    return _moments(landscape.curvature.sharpness.sel(place).values)


def _moments(values: Any) -> tuple[float, float]:
    values = np.ravel(values)
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), float("nan")
    return float(values.mean()), float(values.std(ddof=1)) if values.size > 1 else float("nan")


def _with_spread(mean: float, spread: float) -> str:
    """A mean with its spread, "1.74 ± 0.12"; a spread that is unknown is left out."""
    if not np.isfinite(mean):
        return "–"
    return f"{mean:.3g}" + (f" ± {spread:.2g}" if np.isfinite(spread) else "")


def _warnings(landscape: SweepLandscape) -> list[str]:
    changed = [run.name for run in landscape.runs if not run.is_repeat]
    lines = []
    if changed:
        lines.append(
            f"Repeated for its path, {list_text(changed)} ended at other parameters than those that were "
            "saved: a rule chose them, or another device or version ran it. Planes and curves show the "
            "repetition."
        )
    size, missing = landscape.curvature.sharpness.size, _missing(landscape)
    diverged = int(np.isnan(landscape.curvature.sharpness).sum()) - missing
    if diverged:
        lines.append(f"{diverged} of {size} runs diverged and are left out.")
    if missing:
        lines.append(f"The sweep was interrupted: {missing} of {size} runs were not run and are left out.")
    if landscape.result.dataset.sizes.get("seed", 1) < 2:
        lines.append("One seed: what differs between points may be chance.")
    return lines


def _missing(landscape: SweepLandscape) -> int:
    """How many runs of the sweep were not run."""
    return landscape.result.dataset.status.size - landscape.result.num_ended


def _ends(landscape: SweepLandscape) -> Section:
    words = (
        "Each mark is a run. Where less has been learnt the loss is still curved: compare sharpness between "
        "runs of about the same loss before you put it down to a batch size or a rate."
    )
    caption = (
        "Mean ± standard deviation over seeds. Trace: Hutchinson’s estimate from 16 probes. Limit: the "
        "sharpness above which the optimizer is unstable on a quadratic with exact gradients, 2 / rate for "
        "plain SGD."
    )
    return Section(
        "Where did the runs end?", words, [_sharpness_by_loss(landscape)], _table(landscape), caption
    )


def _sharpness_by_loss(landscape: SweepLandscape) -> go.Figure:
    """The sharpness of every run against its training loss, a colour for each value of the contrast."""
    curvature, contrast = landscape.curvature, landscape.contrast
    figure = go.Figure()
    values = [None] if contrast is None else curvature[contrast].values.tolist()
    for place, value in enumerate(values):
        part = curvature if contrast is None else curvature.isel({contrast: [place]})
        sharpness, loss = (part[name].values.ravel() for name in ("sharpness", "loss"))
        shown = np.isfinite(sharpness) & np.isfinite(loss) & (sharpness > 0) & (loss > 0)
        figure.add_scatter(
            name="runs" if contrast is None else landscape.value_name(contrast, value),
            x=rounded(loss[shown]),
            y=rounded(sharpness[shown]),
            text=np.array(_run_names(landscape, part), object)[shown].tolist(),
            hovertemplate="%{text}<br>loss %{x:.3g}, sharpness %{y:.3g}<extra></extra>",
            mode="markers",
            marker={"color": colour_of(place), "symbol": symbol_of(place), "size": 8},
        )
    axes = []
    for way, title in (("x", "training loss"), ("y", "sharpness")):
        traces: Any = figure.data
        places = [value for trace in traces for value in trace[way]] or [1.0]
        axes.append({**log_axis(min(places), max(places), short_count), "title": {"text": title}})
    return figure.update_layout(layout_with_legend("sharpness and training loss of every run", *axes))


def _run_names(landscape: SweepLandscape, part: Any) -> list[str]:
    """The coordinates of every run of a part of the sweep, in words."""
    dims = part.sharpness.dims
    labels = [[landscape.value_name(dim, value) for value in part[dim].values.tolist()] for dim in dims]
    return [", ".join(words) for words in itertools.product(*labels)]


def _table(landscape: SweepLandscape) -> SortedTable:
    """Every point of the sweep, averaged over seeds."""
    curvature, dataset = landscape.curvature, landscape.result.dataset
    dims = [dim for dim in curvature.sharpness.dims if dim != "seed"]
    score = dataset[landscape.metric].isel(epoch=-1)
    head = [*map(_axis, dims), "sharpness", "limit", "trace", "training loss", _axis(landscape.metric)]
    rows = []
    for places in itertools.product(*(range(curvature.sizes[dim]) for dim in dims)):
        at = dict(zip(dims, places, strict=True))
        names = [
            landscape.value_name(dim, entry_at(curvature[dim], place)).removeprefix(f"{_axis(dim)} ")
            for dim, place in at.items()
        ]
        columns = (curvature.sharpness, curvature.trace, curvature.loss, score)
        sharpness, *others = (_with_spread(*_moments(column.isel(at).values)) for column in columns)
        limit = landscape.limits[places]
        rows.append([*names, sharpness, f"{limit:.3g}" if np.isfinite(limit) else "–", *others])
    return SortedTable(head, rows)


def _near(landscape: SweepLandscape) -> list[Section]:
    """Planes, sharpness along training and spectra of the runs that were looked at."""
    if not landscape.runs:
        return []
    planes = [plane_contours(run.plane, title=f"{run.name}: plane") for run in landscape.runs]
    along = {run.name: run.along for run in landscape.runs}
    chosen = (
        "the best run"
        if landscape.contrast is None
        else f"the best point of each {_axis(landscape.contrast)}"
    )
    return [
        Section(
            "The way down",
            f"The training loss around the end of {chosen}, first seed, on the plane of its training path: "
            "through the last point, along the first two principal components of the points after each "
            "epoch.",
            planes,
            caption="Brighter is lower; colours are logarithmic and each plane has its own. All points of "
            "the path but the last lie off the plane, so the colour below them is not quite their loss. Axes "
            "have the unit of the parameters.",
        ),
        Section(
            "Sharpness along training",
            "Full-batch gradient descent tends to sharpen until it meets its limit of stability, dashed, and "
            "to hover there (Cohen et al. 2021); small batches tend to stay below.",
            [sharpness_curves(along), sharpness_curves(along, "loss")],
        ),
        Section(
            "The spectrum at the end",
            "How many directions curve how much: the density of the Hessian’s eigenvalues by Lanczos "
            "quadrature. Near 0 the loss is flat; the few large ones are the sharp directions.",
            [spectral_densities({run.name: run.spectrum for run in landscape.runs})],
            caption="Four probes of 40 steps; each point is widened to a hundredth of the range. The axis is "
            "logarithmic: what is small there is a fraction of few eigenvalues.",
        ),
    ]


def _line(landscape: SweepLandscape) -> list[Section]:
    if landscape.between is None:
        return []
    barrier = float(landscape.between.barrier)
    words = (
        f"From {landscape.line_name}: on the straight line between two ends the training loss rises by "
        f"{barrier:.3g} above the straight line between their losses. A rise does not mean that the minima "
        "are apart: two networks that differ only in the order of their units have one too."
    )
    return [Section("From one seed to another", words, [loss_lines({"training loss": landscape.between})])]
