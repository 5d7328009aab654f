"""Redraws the figure of Zhang et al. (2019): steps to a goal against batch size, from theory alone.

    python examples/noisy_quadratic_model.py              # the table
    python examples/noisy_quadratic_model.py steps.html   # and the figure

Loss ½ Σ h x² with curvatures h = 1/i, i up to 10,000, and noise of variance h / B. At every batch size each
method has its own best learning rate, momentum its best momentum, and averaging its best decay: all exact
expected losses, nothing is simulated. Momentum gains at large batches, averaging at small ones.
"""

import sys

import numpy as np
import plotly.graph_objects as go

import jaxgd

SIZES = 2 ** np.arange(2, 21)
GOAL = 0.01
MOMENTA = [0, 0.5, 0.8, 0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999]
DECAYS = [0, *1 - np.geomspace(0.1, 1e-5, 20)]


def spectrum(bins=100):
    """The curvatures, each moved down to the edge of its bin, and how many coordinates are in a bin."""
    edges = np.geomspace(1, 1e-4, bins)
    edges[-1] = 1e-4
    curvatures = 1 / np.arange(1, 10_001)
    used, counts = np.unique((edges > curvatures[:, None]).sum(axis=1), return_counts=True)
    return edges[used], counts


def learning_rates(momentum=0.0):
    """Rates up to the largest stable one, 2 (1 + b); a rate r with momentum b is like r / (1 - b) without."""
    return np.geomspace(0.005 * (1 - momentum), 1.98 * (1 + momentum), 80)


def steps(momentum=0.0, averaging=None):
    """The steps at each batch size, at its best learning rate."""
    h, counts = spectrum()
    # n equal coordinates are one whose square and noise are n times as large.
    rates, method = learning_rates(momentum), {"momentum": momentum, "averaging": averaging}
    return jaxgd.studies.steps_to_goal(h, h * counts, GOAL, SIZES, rates, s0=counts, **method).steps


def best(values, found):
    """The fewest steps at each batch size, and the value that needs them."""
    return np.min(found, axis=0), np.take(values, np.argmin(found, axis=0))


def crossing(one, other):
    """The batch size at which two curves cross, on straight lines between points of a log-log plot."""
    gap = np.log(one) - np.log(other)
    place = int(np.flatnonzero(np.diff(np.sign(gap)))[0])
    part = gap[place] / (gap[place] - gap[place + 1])
    return float(SIZES[place] * 2**part)


def figure(curves):
    """Steps against batch size, both logarithmic."""
    styles = {
        "SGD": ("#3a6fd8", "circle"),
        "momentum": ("#c77700", "square"),
        "averaging": ("#008a72", "diamond"),
    }
    drawn = go.Figure()
    for name, steps in curves.items():
        colour, symbol = styles[name]
        marker, line = {"symbol": symbol, "size": 7}, {"color": colour, "width": 2}
        drawn.add_scatter(x=SIZES, y=steps, name=name, mode="lines+markers", line=line, marker=marker)
    margin = {"l": 80, "r": 20, "t": 16, "b": 56}
    drawn.update_layout(
        template="plotly_white", width=760, height=440, margin=margin, legend={"x": 0.8, "y": 0.98}
    )
    for axis, title, values in (
        (drawn.update_xaxes, "batch size", [4, 64, 1024, 16384, 2**18, 2**20]),
        (drawn.update_yaxes, f"steps to an expected loss of {GOAL}", [100, 1000, 10**4, 10**5, 10**6]),
    ):
        axis(type="log", title=title, tickvals=values, ticktext=[f"{value:,}" for value in values])
    return drawn


def computed():
    """The steps of each method, and the best momenta and decays, at each batch size."""
    momentum, momenta = best(MOMENTA, [steps(momentum=value) for value in MOMENTA])
    averaging, decays = best(DECAYS, [steps(averaging=value) for value in DECAYS])
    return {"SGD": steps(), "momentum": momentum, "averaging": averaging}, momenta, decays


def figures():
    """The figure of the documentation."""
    return {"steps": figure(computed()[0])}


def main():
    curves, momenta, decays = computed()
    sgd = curves["SGD"]
    print(
        f"{'batch':>8}{'SGD':>10}{'momentum':>10}{'gain':>8}{'best':>8}{'averaging':>11}{'gain':>8}{'best':>9}"
    )
    for k, size in enumerate(SIZES):
        row = f"{size:>8}{sgd[k]:>10.0f}{curves['momentum'][k]:>10.0f}{sgd[k] / curves['momentum'][k]:>8.2f}"
        row += f"{momenta[k]:>8g}{curves['averaging'][k]:>11.0f}{sgd[k] / curves['averaging'][k]:>8.2f}"
        print(row + f"{decays[k]:>9.5g}")
    cross = crossing(curves["momentum"], curves["averaging"])
    print(f"\nmomentum needs fewer steps than averaging from batch size {cross:.0f} on")
    if sys.argv[1:]:
        figure(curves).write_html(sys.argv[1])


if __name__ == "__main__":
    main()
