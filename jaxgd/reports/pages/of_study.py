"""The page of a study: the sentence, the table, and the figures that mark the batch size it names."""

import math
import os
from itertools import product

from jaxgd.arguments import path_of
from jaxgd.reports.figures.scaling import best_rates, noise_curve, steps_curves
from jaxgd.reports.page import Section, SortedTable, TableCell, sections_page
from jaxgd.reports.scales import seconds_text, short_count
from jaxgd.specs.wording import count_text
from jaxgd.studies.batch_size.costs import picks
from jaxgd.studies.batch_size.found import MethodStudy, Study
from jaxgd.studies.batch_size.sentences import cell_text
from jaxgd.studies.budgets.side_by_side import EqualBudgets
from jaxgd.studies.scaling.critical import CriticalBatchSizes
from jaxgd.studies.scaling.wording import ends_text, steps_text
from jaxgd.sweeps.store.files import write_whole

_NONE = "–"
_COMMAND = "Command"
_SIGNS = {"as good": "≈", "cannot tell": "?", "no verdict": ""}


def write(study: Study, path: str | os.PathLike) -> None:
    """Write the page of a study to a file, as a whole or not at all."""
    write_whole(path_of("path", path), page(study))


def page(study: Study) -> str:
    """The page of a study: a whole HTML document, plotly.js included."""
    tuning, reporting = study.budgets.tuning_seeds, study.budgets.reporting_seeds
    how = (
        f"Updates are counted to {study.goal.text}, at the rate that is chosen at each batch size by "
        f"{count_text(len(tuning), 'tuning seed')}; {count_text(len(reporting), 'other seed')} report. "
        "Intervals (95\u00a0%) cover their chance and that of the choice, not that of the examples scored."
    )
    headline, _, lead = study.sentence.partition(". ")
    return sections_page(
        "jaxgd study",
        headline,
        [*study.details, how],
        [_steps(study), _rates(study), _budgets(study), *_noise(study)],
        {name: text for name, text in study.facts.items() if name != _COMMAND},
        study.warnings,
        {"The command that made this page": study.facts[_COMMAND]} if study.facts.get(_COMMAND) else {},
        lead=lead,
    )


def _marked(study: Study) -> float | None:
    return None if study.pick is None else study.pick.batch_size


def _steps(study: Study) -> Section:
    marked = _marked(study)
    rows = [row for one in study.methods for row in _step_rows(study, one)]
    cells = [(one.steps.method, size) for one in study.methods for size in one.steps.batch_sizes]
    chosen = [place for place, cell in enumerate(cells) if picks(study.pick, *cell)]
    return Section(
        "How far can the batch size be raised before it stops paying?",
        "Updates halve as the batch size doubles while a larger batch costs nothing but hardware. The same "
        "as examples processed: flat while it pays, rising where it no longer does. Dashed: the fit Smin + "
        "Emin / B. The grey band is the batch size that the first line names.",
        [steps_curves(study.methods, what, marked) for what in ("updates", "examples")],
        table=SortedTable.of(rows, marked=chosen),
        caption=_critical_caption(study),
    )


def _step_rows(study: Study, one: MethodStudy) -> list[dict[str, str | TableCell]]:
    steps, rows = one.steps, []
    named = len(study.methods) > 1
    for k, size in enumerate(steps.batch_sizes):
        rate, edge = steps.learning_rates[k], steps.edges[k]
        row: dict[str, str | TableCell] = {"method": steps.method} if named else {}
        row["batch size"] = TableCell(f"{size:g}", float(size))
        row["best rate"] = (
            _NONE if math.isnan(rate) else TableCell(f"{rate:.3g}{' (edge)' if edge else ''}", rate)
        )
        row["updates"] = _number(steps.steps[k], steps.found[k])
        row["95 % interval"] = ends_text(steps.low[k], steps.high[k], _NONE)
        row["examples"] = _number(steps.examples[k], steps.found[k])
        row["seeds at the goal"] = f"{steps.reached[k]} of {steps.seeds[k]}"
        row["regime"] = one.regimes[k] or _NONE
        rows.append(row)
    return rows


def _number(value: float, found: str) -> TableCell:
    return TableCell(steps_text(value, found), "" if math.isnan(value) else value)


def _critical_caption(study: Study) -> str:
    """Both definitions of each method, with what each of them is."""
    parts = [f"{one.steps.method or 'critical batch sizes'}: {_both(one.critical)}" for one in study.methods]
    return (
        "Critical batch size, by two definitions that can differ by a factor of 4: Emin / Smin of the fit, "
        "where updates and examples are both twice their least; and the batch size from which on more than "
        f"20 % more examples are processed than the least. {'; '.join(parts)}."
    )


def _both(critical: CriticalBatchSizes) -> str:
    fit, over = critical.fit, critical.overhead
    first = f"{fit.value:.3g}" if math.isfinite(fit.value) else f"none ({fit.reason})"
    misfit = "" if math.isnan(fit.misfit) else f", which misses by {100 * fit.misfit:.1f} % at most"
    second = f"{over.value:.3g}" if math.isfinite(over.value) else f"none ({over.reason})"
    return f"by the fit {first}{misfit}, by 20 % more examples {second}"


def _rates(study: Study) -> Section:
    rows = [_rate_row(one) for one in study.methods]
    return Section(
        "Which learning rate belongs to each batch size?",
        "The rate that reaches the goal in fewest updates on the tuning seeds. Open symbols lie at the end "
        "of their grid, where a better rate may lie beyond; they count for nothing in the dashed fit.",
        [best_rates(study.methods, _marked(study))],
        table=SortedTable.of(rows),
        caption=" ".join(one.rates.reason + "." for one in study.methods if one.rates.reason),
    )


def _rate_row(one: MethodStudy) -> dict[str, str | TableCell]:
    rates = one.rates
    is_known = math.isfinite(rates.exponent)
    power = f"{rates.exponent:.2f} ({rates.low:.2f} to {rates.high:.2f})" if is_known else _NONE
    row: dict[str, str | TableCell] = {"method": one.steps.method or "all trials"}
    row["power of the batch size"] = power
    for name in ("linear", "square root", "fitted"):
        row[f"{name} is off by"] = f"× {rates.misfits[name]:.2f}" if is_known else _NONE
    return row


def _budgets(study: Study) -> Section:
    budgets = study.budgets
    rows, marked = [], []
    for m, b in product(range(len(budgets.methods)), range(len(budgets.batch_sizes))):
        row: dict[str, str | TableCell] = {"method": budgets.methods[m]} if len(budgets.methods) > 1 else {}
        row["batch size"] = TableCell(f"{budgets.batch_sizes[b]:g}", float(budgets.batch_sizes[b]))
        for k, clock in enumerate(budgets.clocks):
            row[f"equal {clock}"] = _score(budgets, k, m, b)
        if picks(study.pick, budgets.methods[m], budgets.batch_sizes[b]):
            marked.append(len(rows))
        rows.append(row)
    texts = [
        f"{clock} {_budget_text(clock, budget)}"
        for clock, budget in zip(budgets.clocks, budgets.budgets, strict=True)
        if math.isfinite(budget)
    ]
    best = [
        f"at equal {one.clock} {cell_text(one.method, one.batch_size)} ({one.verdict})"
        for one in budgets.winners
    ]
    return Section(
        "At equal epochs, updates, examples and seconds",
        "A small batch makes more updates in an epoch, a large one fewer in a second: none of the four "
        "budgets is the fair one alone. Each cell has the best rate for that budget by its tuning seeds, and "
        f"is judged on the others: mean {budgets.metric} ± the half of its 95 % interval, and the verdict "
        "against the best.",
        table=SortedTable.of(rows, marked=marked),
        caption="≈: shown to be as good as the best; ?: these runs cannot tell. "
        f"Budgets, the largest that every cell reached: {', '.join(texts)}. Best: {'; '.join(best)}. "
        f"Margin: {budgets.margin[0]:.2g}.",
    )


def _score(budgets: EqualBudgets, k: int, m: int, b: int) -> TableCell | str:
    mean, half, verdict = budgets.mean[k, m, b], budgets.halfwidth[k, m, b], str(budgets.verdicts[k, m, b])
    if math.isnan(mean):
        return "diverged" if budgets.diverged[k, m, b] else _NONE
    around = "" if math.isnan(half) else f" ± {half:.2g}"
    return TableCell(f"{mean:.3g}{around} {_SIGNS.get(verdict, verdict)}", float(mean))


def _budget_text(clock: str, budget: float) -> str:
    return seconds_text(budget) if clock == "seconds" else short_count(budget)


def _noise(study: Study) -> list[Section]:
    noise = study.noise
    if noise is None:
        return []
    fits = [one.critical.fit.value for one in study.methods if one.steps.method == noise.method]
    cell = cell_text(noise.method, noise.batch_size)
    return [
        Section(
            "The gradient noise scale, along training",
            f"tr Σ / |G|² of a run of {cell}, rate {noise.learning_rate:.3g}: the batch size at which noise "
            "and gradient are equally long, cheap to measure in one run. It is SGD's, whatever optimizer "
            "takes the steps, and stands beside the critical batch size that was measured, not in its place.",
            [noise_curve(noise, fits[0] if fits else math.nan)],
            caption=noise.whole.reason,
        )
    ]
