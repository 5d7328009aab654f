"""Tables of trials that reach a goal after known updates."""

import numpy as np


def table_of(log_steps, batch_sizes, rates, evaluations=40, most=None):
    """Columns of trials whose loss falls as 1 / updates and is 1 after exp(log_steps) [n, r, s] updates."""
    log_steps = np.asarray(log_steps, float)
    n, r, s = log_steps.shape
    rows = []
    for b, k, seed in np.ndindex(n, r, s):
        wanted = np.exp(log_steps[b, k, seed])
        end = 4 * wanted if most is None else most
        for updates in np.geomspace(min(wanted / 8, end / 2), end, evaluations):
            rows.append((batch_sizes[b], rates[k], seed, updates, wanted / updates))
    names = "batch_size", "learning_rate", "seed", "updates", "loss"
    return dict(zip(names, np.array(rows).T.tolist(), strict=True))
