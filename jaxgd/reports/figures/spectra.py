"""Pictures of curvature: the spectrum of a Hessian, and sharpness along training with the 2/rate line."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from jaxgd.landscape.curvature import SharpnessPath, Spectrum
from jaxgd.reports.scales import log_text, rounded
from jaxgd.reports.style import colour_of, layout_with_legend, log_axis, median_line

# Points of a density, and its width as a part of the range of eigenvalues.
_POINTS, _WIDTH = 400, 0.01
_DECADES = 6  # of a density that show


def spectral_densities(spectra: Mapping[str, Spectrum], width: float | None = None) -> go.Figure:
    """The density of each spectrum over eigenvalues, logarithmic; of one with lanes, their mean.

    Each quadrature point is a Gaussian of standard deviation `width`, a hundredth of the range if None.
    """
    nodes = np.concatenate([np.ravel(spectrum.nodes) for spectrum in spectra.values()])
    low, high = float(nodes.min()), float(nodes.max())
    width = width or _WIDTH * (high - low) or 1.0
    grid = np.linspace(low - 4 * width, high + 4 * width, _POINTS)
    figure, tops = go.Figure(), []
    for place, (name, spectrum) in enumerate(spectra.items()):
        density = spectrum.density(grid, width).reshape(-1, _POINTS).mean(axis=0)
        tops.append(density.max())
        shown = np.where(density > density.max() / 10**_DECADES, density, np.nan)
        line = {"color": colour_of(place), "width": 2}
        text = "density %{y:.2g} at eigenvalue %{x:.3g}"
        figure.add_scatter(
            name=name, x=rounded(grid), y=rounded(shown), mode="lines", line=line, hovertemplate=text
        )
    across = {"title": {"text": "eigenvalue"}, "zeroline": True}
    upwards = {"title": {"text": "density"}, **log_axis(max(tops) / 10**_DECADES, max(tops), log_text)}
    return figure.update_layout(layout_with_legend("spectrum of the Hessian", across, upwards))


def sharpness_curves(paths: Mapping[str, SharpnessPath], what: str = "sharpness") -> go.Figure:
    """Sharpness (or with `what="loss"` the loss) after every epoch, with the limit of stability dashed.

    Of a path with lanes the median, in a band from the least to the greatest.
    """
    figure, values = go.Figure(), []
    for place, (name, path) in enumerate(paths.items()):
        colour, epochs, lanes = colour_of(place), path.epochs.tolist(), np.asarray(getattr(path, what), float)
        figure.add_traces(median_line(name, epochs, lanes, colour, {"legendgroup": name}))
        values.append(lanes)
        if what == "sharpness" and np.isfinite(path.limit).any():
            text = "limit of stability" if len(paths) == 1 else "limits of stability"
            dashed = {"color": colour, "width": 1.5, "dash": "dash"}
            style = {"line": dashed, "hovertemplate": "%{y:.4g}", "showlegend": not place}
            figure.add_traces(median_line(text, epochs, path.limit, colour, {"legendgroup": name}, **style))
            values.append(path.limit)
    flat = np.concatenate([np.ravel(value) for value in values])
    flat = flat[np.isfinite(flat) & (flat > 0)]
    title = {"sharpness": "largest eigenvalue of the Hessian", "loss": "training loss"}[what]
    across = {"title": {"text": "epoch"}, "showgrid": False}
    upwards = {"title": {"text": title}, **log_axis(flat.min(), flat.max(), lambda value: f"{value:.3g}")}
    return figure.update_layout(layout_with_legend(title, across, upwards))
