"""What a study found, in sentences: what to use, what else was seen, and where the evidence is thin."""

import math

from jaxgd.specs.wording import count_text, list_text
from jaxgd.studies.batch_size.costs import Pick
from jaxgd.studies.batch_size.default_goal import middle_place
from jaxgd.studies.batch_size.found import MethodStudy, NoiseAt, Study
from jaxgd.studies.scaling.measured import AT_LEAST, AT_MOST, NOT_REACHED
from jaxgd.studies.scaling.wording import ends_text, steps_text
from jaxgd.studies.verdicts.spending import LEAST_SEEDS

_FEW_BATCH_SIZES = 4
_UNKNOWN = {
    NOT_REACHED: "the goal is not reached at {}",
    AT_LEAST: "some seeds miss the goal at {}: only a lower end is known",
    AT_MOST: "the first evaluation is at the goal already at {}: evaluate more often",
}


def write_answer(study: Study) -> str:
    """The first line: batch size, rate and optimizer, how sure that is, and where the evidence is thin.

    "On digits, to valid_loss=0.13: use adam, batch size 32, rate 0.011: 97.4 updates (69.4 to 137). Not shown
    to be slower: adam at batch size 16 and 64."
    """
    opening, pick = f"On {study.data}, to {study.goal.text}: ", study.pick
    if pick is None:
        nobody = "nothing to recommend: at no batch size does every reporting seed get there."
        return f"{opening}{nobody}{_instead(study)}"
    cell = f"{cell_text(pick.method, pick.batch_size)}, rate {pick.learning_rate:.3g}"
    ends = ends_text(pick.low, pick.high)
    updates = f"{steps_text(pick.steps)} updates{f' ({ends})' if ends else ''}"
    thin = list_text(_thin(pick, study))
    return f"{opening}use {cell}: {updates}.{_others(pick)}{f' Thin evidence: {thin}.' if thin else ''}"


def write_details(study: Study) -> list[str]:
    """What it costs, what larger batches buy, how rates grow, and the noise scale beside them."""
    lines, pick = [], study.pick
    if pick is not None:
        seconds = f", {pick.seconds:.2g} s alone and compiled" if math.isfinite(pick.seconds) else ""
        lines.append(f"That is {steps_text(pick.examples)} examples{seconds}.")
    if not study.goal_is_given:
        size = study.trials.batch_sizes[middle_place(study.trials)]
        lines.append(
            f"No goal was given: {study.goal.text} is what batch size {size:g} reaches at two thirds of its "
            "budget."
        )
    for one in study.methods:
        lines += [_after(one.steps.method, one.critical.text), *_rates_text(one)]
    return lines if study.noise is None else [*lines, _noise_text(study, study.noise)]


def write_warnings(study: Study) -> list[str]:
    """Where the evidence is thin, of the whole study."""
    lines = [
        _after(one.steps.method, f"{text.format(_sizes_text(sizes))}.")
        for one in study.methods
        for word, text in _UNKNOWN.items()
        if (sizes := _where(one, word))
    ]
    if len(study.trials.batch_sizes) < _FEW_BATCH_SIZES:
        lines.append(f"{len(study.trials.batch_sizes)} batch sizes are too few for a curve.")
    return [*dict.fromkeys([*lines, *study.budgets.flags])]


def cell_text(method: str, batch_size: float) -> str:
    """A method at a batch size: "adam, batch size 32"."""
    return ", ".join(filter(None, (method, f"batch size {batch_size:g}")))


def _thin(pick: Pick, study: Study) -> list[str]:
    """What weakens the recommendation itself."""
    sizes = study.trials.batch_sizes
    ends = {sizes[0]: "smallest", sizes[-1]: "largest"}
    few = pick.seeds < LEAST_SEEDS
    return [
        *([f"the rate is the {pick.edge} of its grid"] if pick.edge else []),
        *([f"it is the {ends[pick.batch_size]} batch size measured"] if pick.batch_size in ends else []),
        *([f"{count_text(pick.seeds, 'reporting seed')}, of {LEAST_SEEDS} that are needed"] if few else []),
    ] or [""]


def _others(pick: Pick) -> str:
    """The cells that are not shown to cost more, by method."""
    by_method: dict[str, list[float]] = {}
    for method, size in pick.others:
        by_method.setdefault(method, []).append(size)
    if not by_method:
        return ""
    parts = [
        f"{f'{method} at ' if method else ''}{_sizes_text(sizes)}" for method, sizes in by_method.items()
    ]
    dearer = "slower" if math.isfinite(pick.seconds) else "dearer"
    return f" Not shown to be {dearer}: {list_text(parts)}."


def _instead(study: Study) -> str:
    """What can still be told where the goal is out of reach."""
    winners = [one for one in study.budgets.winners if one.clock in ("examples", "seconds")]
    if not winners:
        return ""
    last = winners[-1]
    cell = f"{cell_text(last.method, last.batch_size)}, rate {last.learning_rate:.3g}"
    mean = f"the best mean {study.trials.metric} is {last.mean:.3g}"
    return f" At equal {last.clock} {mean}, of {cell} ({last.verdict})."


def _where(one: MethodStudy, word: str) -> list[float]:
    """The batch sizes of which this was found."""
    pairs = zip(one.steps.batch_sizes, one.steps.found, strict=True)
    return [size for size, found in pairs if found == word]


def _sizes_text(sizes: list[float]) -> str:
    return f"batch size {list_text([f'{size:g}' for size in sizes])}"


def _after(method: str, sentence: str) -> str:
    """The sentence with the method before it, where there is one."""
    first = sentence[0].lower() if method else sentence[0].upper()
    return f"{f'{method}: ' if method else ''}{first}{sentence[1:]}"


def _rates_text(one: MethodStudy) -> list[str]:
    rates = one.rates
    if math.isnan(rates.exponent):
        return []
    rule = f", {rates.nearest} scaling" if rates.nearest else ""
    ends = f"{rates.low:.2f} to {rates.high:.2f}{rule}"
    text = f"The best rate grows as the batch size to the power {rates.exponent:.2f} ({ends})."
    return [_after(one.steps.method, text)]


def _noise_text(study: Study, noise: NoiseAt) -> str:
    """The noise scale, what it is of, and how far it is from the batch size measured."""
    whole = noise.whole
    if math.isnan(whole.value):
        return f"The gradient noise scale is not known: {whole.reason}."
    ends = ends_text(whole.low, whole.high)
    text = f"The gradient noise scale is {whole.value:.3g}{f' ({ends})' if ends else ''}, over runs of "
    text += cell_text(noise.method, noise.batch_size)
    fits = [one.critical.fit.value for one in study.methods if one.steps.method in (noise.method, "")]
    if fits and math.isfinite(fits[0]):
        times = whole.value / fits[0]
        text += f": {times:.2g} times the critical batch size that was measured by the fit"
    if noise.method not in ("", "sgd"):
        text += ". It is SGD's, and says less of an optimizer that rescales or remembers gradients"
    return text + "."
