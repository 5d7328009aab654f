"""The page of a surface: paths, critical points and basins of attraction, as one HTML file."""

from typing import Any

import numpy as np
import xarray as xr

from jaxgd.landscape.surfaces.survey import SHOWN, SurfaceStudy
from jaxgd.reports.figures.paths import loss_curves
from jaxgd.reports.figures.surfaces import MOST_MARKS, basin_map, path_map, size_text
from jaxgd.reports.page import Section, SortedTable, sections_page

MOST_ROWS = 40  # of the table of critical points


def surface_page(study: SurfaceStudy) -> str:
    """The page of a study of a surface: a whole HTML document, plotly.js included."""
    sections = [_paths(study), _critical_points(study), *_basins(study), *_noise(study)]
    deck = f"{study.surface.formula}. Gradients are exact unless a batch size is named."
    facts = study.about | {"Command": study.command}
    return sections_page("jaxgd landscape", study.sentence, deck, sections, facts)


def _paths(study: SurfaceStudy) -> Section:
    tried = study.paths.attrs["rates_tried"]
    words = (
        f"Each optimizer runs at its own best of {tried} learning rates, from the ring to its last symbol; a "
        "dot is an update. The loss is the median over all starts. Where the ground is shaded it is high."
    )
    maps = [path_map(study.surface, study.paths, start, study.critical) for start in range(SHOWN)]
    for start, figure in enumerate(maps, 1):
        figure.update_layout(title={"text": f"start {start}"}, showlegend=False)
    curves = loss_curves(study.paths, study.lowest)
    curves.update_layout(
        legend={"orientation": "h", "y": -0.28}, title={"text": "all starts: loss above the lowest"}
    )
    many = " Too many critical points to mark." if len(study.critical.kinds) > MOST_MARKS else ""
    caption = "● minimum, × saddle, ▲ maximum, ◆ degenerate. A path is drawn until it has settled." + many
    return Section("Where does each optimizer go?", words, [curves, *maps], _rates(study), caption)


def _rates(study: SurfaceStudy) -> SortedTable:
    """Each optimizer's rate and where it stands after the last update."""
    rows = []
    for name in study.paths.optimizer.values:
        run = study.paths.sel(optimizer=name)
        above = np.maximum(run.loss.isel(updates=-1).values.ravel() - study.lowest, 0)
        lost = int((run.status != "completed").sum())
        numbers = [f"{np.median(above):.2g}", f"{above.max():.2g}", f"{lost} of {above.size}"]
        rows.append([str(name), f"{float(run.learning_rate):g}", *numbers])
    head = ["optimizer", "learning rate", "median loss above the lowest", "worst start", "left or diverged"]
    return SortedTable(head, rows)


def _critical_points(study: SurfaceStudy) -> Section:
    critical = study.critical
    plurals = {"minimum": "minima", "saddle": "saddles", "maximum": "maxima", "degenerate": "degenerate"}
    found = {kind: critical.kinds.count(kind) for kind in plurals}
    counts = [f"{n} {kind if n == 1 else plurals[kind]}" for kind, n in found.items() if n]
    words = (
        f"{', '.join(counts).capitalize() or 'Nowhere'}: found by a damped Newton method on the gradient "
        "from many starts in the domain, and told apart by the eigenvalues of the Hessian. The index is the "
        "number of negative ones: the directions in which the surface falls away."
    )
    rows = [_row(study, place) for place in range(min(len(critical.kinds), MOST_ROWS))]
    rest = len(critical.kinds) - MOST_ROWS
    caption = f"The {MOST_ROWS} lowest; {rest} more were found." if rest > 0 else ""
    table = SortedTable.of(rows) if rows else None
    return Section("Where is the gradient zero?", words, table=table, caption=caption)


def _row(study: SurfaceStudy, place: int) -> dict[str, str]:
    critical = study.critical
    (x, y), values = map(_clean, (critical.points[place], critical.eigenvalues[place]))
    return {
        "kind": critical.kinds[place],
        "x": f"{x:.6f}",
        "y": f"{y:.6f}",
        "f": f"{_clean(critical.values[place]):.6g}",
        "smallest eigenvalue": f"{values[0]:.6g}",
        "largest eigenvalue": f"{values[-1]:.6g}",
        "index": str(critical.index[place]),
    }


def _clean(values: Any) -> Any:
    """The values without the rounding errors of a computed 0, and without its sign."""
    return np.where(np.abs(values) < 1e-12, 0.0, values)


def _basins(study: SurfaceStudy) -> list[Section]:
    if study.basins is None or not np.isinf(study.basins.batch_size).any():
        return []
    words = (
        "Every point of the map is a start, and its colour the minimum that it leads to. Momentum and scaled "
        "steps overshoot, so their basins are not those of plain gradient descent. A start without a colour "
        "has not come near a minimum."
    )
    names = study.basins.optimizer.values
    maps = [basin_map(study.surface, study.basins, str(name), np.inf) for name in names]
    return [Section("Which minimum does a start lead to?", words, maps)]


def _noise(study: SurfaceStudy) -> list[Section]:
    """The basins of the first and the last optimizer under noise."""
    if study.basins is None or np.isinf(study.basins.batch_size).all():
        return []
    sizes = sorted((float(b) for b in study.basins.batch_size.values if np.isfinite(b)), reverse=True)
    names = dict.fromkeys(str(study.basins.optimizer.values[place]) for place in (0, -1))
    words = (
        f"One example’s gradient has noise of standard deviation {study.basins.attrs['noise']:g} in each "
        "coordinate; a batch of B has that divided by √B. The rate is the one that is best without noise, so "
        "that only the batch differs."
    )
    maps = [basin_map(study.surface, study.basins, name, size) for name in names for size in sizes]
    return [Section("What does a smaller batch change?", words, maps, _shares(study.basins))]


def _shares(basins: xr.Dataset) -> SortedTable:
    """The part of all starts that ends near a minimum, by batch size."""
    head = ["starts that end near a minimum", *(size_text(size) for size in basins.batch_size.values)]
    shares = basins.share.sum("minimum").transpose("optimizer", "batch_size").values
    rows = [
        [str(name), *(f"{100 * part:.0f} %" for part in share)]
        for name, share in zip(basins.optimizer.values, shares, strict=True)
    ]
    return SortedTable(head, rows)
