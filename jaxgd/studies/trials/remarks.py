"""What to know about trials before reading them: one sentence each, where it is true."""

import numpy as np

from jaxgd.studies.trials.dense import Trials


def remarks_on(trials: Trials) -> list[str]:
    """The sentences."""
    return [
        *_one_batch_size(trials),
        *_missing(trials),
        *_diverged(trials),
        *_constant(trials),
        *_without_chance(trials),
    ]


def _one_batch_size(trials: Trials) -> list[str]:
    if len(trials.batch_sizes) > 1:
        return []
    return [f"There is one batch size, {trials.batch_sizes[0]:g}: nothing can be said about its effect."]


def _missing(trials: Trials) -> list[str]:
    is_rate = np.isfinite(trials.learning_rates)[..., None]
    missing = int((is_rate & ~trials.was_run).sum())
    return [f"{missing} trials of methods, batch sizes, rates and seeds are not there."] if missing else []


def _diverged(trials: Trials) -> list[str]:
    count = int(trials.diverged.sum())
    if not count:
        return []
    return [
        f"{count} of {int(trials.was_run.sum())} trials diverged: {trials.metric} is not finite at their end."
    ]


def _constant(trials: Trials) -> list[str]:
    known = trials.values[np.isfinite(trials.values)]
    if known.size < 2 or known.min() < known.max():
        return []
    return [f"{trials.metric} is {known[0]:g} at every evaluation: it tells nothing apart."]


def _without_chance(trials: Trials) -> list[str]:
    """Whether all seeds of every cell and rate have the same curves, where there are several."""
    seeds = trials.was_run.sum(-1)
    if not (seeds > 1).any():
        return []
    first = np.argmax(trials.was_run, -1)[..., None, None]
    values = np.take_along_axis(trials.values, first, -2)
    same = (trials.values == values) | (np.isnan(trials.values) & np.isnan(values))
    same = (same.all(-1) | ~trials.was_run).all(-1)
    if not same[seeds > 1].all():
        return []
    return ["The seeds change nothing: all of them have the same values, and count as one run."]
