"""A comparison as one HTML file that needs no network: sentence, warnings, figures and table."""

import json
import os
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from plotly.colors import get_colorscale
from plotly.offline import get_plotlyjs

from jaxgd.reports.figures.costs import COSTS, cost_curves
from jaxgd.reports.figures.curves import (
    CLOCKS,
    clock_axis,
    clock_values,
    curve_scale,
    learning_curves,
    measures,
)
from jaxgd.reports.figures.maps import COLOUR_SCALE, map_range, map_scale, rate_map
from jaxgd.reports.pages.cells import cells_table
from jaxgd.reports.scales import seconds_text
from jaxgd.reports.style import COLOURS, GLYPHS, GREY, batch_sizes, regime_name
from jaxgd.specs.wording import batch_text, count_text, list_text
from jaxgd.studies.comparison.comparing import Comparison
from jaxgd.studies.comparison.findings import constant_text
from jaxgd.sweeps.store.files import write_whole


def write(comparison: Comparison, path: str | os.PathLike) -> None:
    """Write the page of a comparison to a file, as a whole or not at all."""
    write_whole(Path(path), page(comparison))


def page(comparison: Comparison) -> str:
    """The page of a comparison: a whole HTML document, plotly.js included."""
    return Template(_asset("page.html")).substitute(
        css=_asset("page.css"),
        script=_asset("page.js"),
        plotly=get_plotlyjs(),
        payload=_payload(comparison),
        data=escape(comparison.data),
        sentence=escape(comparison.sentence),
        command=escape(comparison.about["command"]),
        snippet=escape(comparison.snippet),
        warnings=_warnings(comparison.warnings),
        table=cells_table(comparison),
        constant=_constant(comparison),
        facts=_facts(comparison),
        **_controls(comparison),
        **_words(comparison),
        legend=_legend(comparison),
        maps=_maps(comparison),
        costs=_costs(),
    )


@cache
def _asset(name: str) -> str:
    return (files("jaxgd.reports") / name).read_text(encoding="utf-8")


def _payload(comparison: Comparison) -> str:
    """All that the page's script reads, as JSON that can stand inside a script element."""
    names = _optimizers(comparison)
    data = {
        "first": comparison.cells[0].optimizer,
        "score": comparison.score,
        "better": {measure: curve_scale(comparison, measure).better for measure in measures(comparison)},
        "curves": {
            name: {
                m: learning_curves(comparison, name, measure=m).to_plotly_json() for m in measures(comparison)
            }
            for name in names
        },
        "clocks": {name: _clocks(comparison, name) for name in names},
        "axes": {clock: clock_axis(comparison, clock) for clock in CLOCKS},
        "maps": {
            f"map-{index}": rate_map(comparison, name).to_plotly_json() for index, name in enumerate(names)
        },
        "costs": {f"cost-{cost}": cost_curves(comparison, cost).to_plotly_json() for cost in COSTS},
        "glyphs": GLYPHS,
        "highlight": COLOURS[0],
        "grey": GREY,
    }
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), default=_plain)
    # "</script>" and "<!--" would end or change the element that holds the JSON.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(value):
    """A Python value for JSON from a NumPy one."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in the page's JSON")


def _clocks(comparison: Comparison, optimizer: str) -> dict:
    """Where the points of each batch size stand on each clock."""
    return {
        regime_name(size, comparison.about["num_train"]): {
            clock: clock_values(comparison, optimizer, size, clock) for clock in CLOCKS
        }
        for size in batch_sizes(comparison)
    }


def _optimizers(comparison: Comparison) -> list[str]:
    return [str(name) for name in comparison.grid.optimizer.values]


def _warnings(lines: list[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    heading = "<h2>Before you rely on it</h2>"
    return f'<aside class="warnings" aria-label="Warnings">{heading}<ul>{items}</ul></aside>'


def _constant(comparison: Comparison) -> str:
    if comparison.constant is None:
        return ""
    return f'<p class="note">{escape(constant_text(comparison.constant, comparison.score))}</p>'


def _controls(comparison: Comparison) -> dict[str, str]:
    shown = measures(comparison)
    return {
        "options": "".join(f"<option>{escape(name)}</option>" for name in _optimizers(comparison)),
        "clocks": _radios("clock", list(CLOCKS)),
        "measures": _radios("measure", shown),
        "measures_hidden": " hidden" if len(shown) == 1 else "",
    }


def _radios(name: str, values: list[str]) -> str:
    """Radio buttons, the first one checked."""
    return "".join(
        f'<label class="radio"><input type="radio" name="{name}" value="{escape(value)}"'
        f"{'' if index else ' checked'}><span>{escape(value.capitalize())}</span></label>"
        for index, value in enumerate(values)
    )


def _words(comparison: Comparison) -> dict[str, str]:
    """What the template's prose leaves open."""
    about = comparison.about
    return {
        "score": escape(comparison.score),
        "fresh": count_text(about["fresh_seeds"], "fresh seed"),
        "seeds": count_text(about["seeds"], "seed"),
        "epochs": count_text(about["epochs"], "epoch"),
        "num_valid": count_text(about["num_valid"], "example"),
        "num_test": count_text(about["num_test"], "example"),
        "updates": _updates_per_epoch(comparison),
        "scale_note": curve_scale(comparison, comparison.score).note,
    }


def _updates_per_epoch(comparison: Comparison) -> str:
    """The updates in an epoch at the largest and the smallest batch size: the end of a sentence."""
    num_train, sizes = comparison.about["num_train"], batch_sizes(comparison)
    ends = [sizes[0], sizes[-1]] if len(sizes) > 1 else sizes
    counts = [
        f"{regime_name(size, num_train)} makes {count_text(-(-num_train // size), 'update')}" for size in ends
    ]
    return f"in one epoch {' and '.join(counts)}."


def _legend(comparison: Comparison) -> str:
    """The colours of the maps with their values, the sign for divergence, and the ridge."""
    scale, (low, high) = map_scale(comparison), map_range(comparison)
    places, texts = scale.ticks(*sorted((scale.better * low, scale.better * high)))
    shares = [100 * (scale.better * place - low) / (high - low) for place in places]
    ticks = "".join(
        f'<span style="left:{share:.1f}%">{text}</span>' for share, text in zip(shares, texts, strict=True)
    )
    stops = ",".join(f"{colour} {100 * at:.0f}%" for at, colour in get_colorscale(COLOUR_SCALE))
    hatching = "".join(f'<path d="M{x} 14L{x + 14} 0"/>' for x in range(-14, 28, 6))
    return f"""<div class="legend">
<div class="bar">Validation {escape(comparison.score)}, worse to better
<span class="ramp" style="background:linear-gradient(90deg,{stops})"></span>
<span class="ticks">{ticks}</span></div>
<div><svg width="28" height="14" stroke="{GREY}" stroke-width="1.5" aria-hidden="true">{hatching}</svg>\
a seed diverged</div>
<div><svg width="28" height="14" stroke="currentColor" fill="#fff" stroke-width="1.5" aria-hidden="true">\
<path d="M0 7H28"/><circle cx="14" cy="7" r="4"/></svg>best rate of each batch size</div>
</div>"""


def _maps(comparison: Comparison) -> str:
    return "\n".join(
        f'<figure><h3>{escape(name)}</h3><div id="map-{index}" class="plot map" role="img" '
        f'aria-label="{escape(_map_words(comparison, name))}"></div></figure>'
        for index, name in enumerate(_optimizers(comparison))
    )


def _map_words(comparison: Comparison, optimizer: str) -> str:
    """What a map shows, for those who do not see it."""
    rates = comparison.fresh.learning_rate.sel(optimizer=optimizer)
    best = [
        f"{float(rates.sel(batch_size=size)):g} at {batch_text(size, comparison.about['num_train'])}"
        for size in batch_sizes(comparison)
    ]
    diverged = comparison.grid.status.sel(optimizer=optimizer) == "diverged"
    return (
        f"Map of {optimizer}: validation {comparison.score} by learning rate and batch size. "
        f"Best rates: {list_text(best)}. {int(diverged.sum())} of {diverged.size} runs diverged."
    )


def _costs() -> str:
    return "\n".join(
        f'<figure><h3 id="title-{cost}">{title.capitalize()}</h3><div id="cost-{cost}" class="plot cost" '
        f'role="img" aria-labelledby="title-{cost}" aria-describedby="cells-title"></div></figure>'
        for cost, title in COSTS.items()
    )


def _facts(comparison: Comparison) -> str:
    facts = {name: text for name, text in _settings(comparison).items() if text}
    return "\n".join(f"<dt>{name}</dt><dd>{escape(str(text))}</dd>" for name, text in facts.items())


def _settings(comparison: Comparison) -> dict[str, str]:
    about, grid = comparison.about, comparison.grid
    dims = {"optimizer": "optimizer", "batch_size": "batch size", "rate": "learning rate", "seed": "seed"}
    sizes = " × ".join(count_text(grid.sizes[dim], noun) for dim, noun in dims.items())
    epochs, fresh = count_text(about["epochs"], "epoch"), count_text(about["fresh_seeds"], "fresh seed")
    stages = ", ".join(f"{name} {seconds_text(spent)}" for name, spent in about["stage_seconds"].items())
    return {
        "Data": comparison.data,
        "Splits": about["splits"],
        "Model": about["model"],
        "Grid": f"{sizes} = {count_text(grid.status.size, 'run')} of {epochs}",
        "Rerun": f"best rate of each cell on {fresh}: {count_text(comparison.fresh.status.size, 'run')}",
        "Intervals": about["intervals"],
        "Budget": f"{about['examples_seen']:,} training examples processed (repeats counted)",
        "Time": f"{seconds_text(about['wall_seconds'])} in all, compilation included: {stages}",
        "Device": f"{about['device']}, {count_text(about['cores'], 'CPU core')}",
        "Versions": ", ".join(f"{name} {version}" for name, version in about["versions"].items()),
    }
