"""The keys of a sweep's file and of its tables, each with what it may hold; `settings` has those of runs."""

from collections.abc import Mapping

from jaxgd.specs.settings import COUNT, COUNT_OR_ZERO, NUMBER, SEED, SWITCH, TEXT, Allowed, whole, words
from jaxgd.sweeps.draws import METHODS

TABLE = Allowed("a table", lambda value: isinstance(value, Mapping), {"type": "object"})
LIST = Allowed("a list of values", lambda value: isinstance(value, list), {"type": "array"})
POINTS = Allowed("a list of tables", lambda value: isinstance(value, list), {"type": "array"})
NAMES = Allowed(
    "a list of names",
    lambda value: isinstance(value, list) and all(map(TEXT.test, value)),
    {"type": "array", "items": TEXT.schema},
)
TOP = {
    "data": TEXT,
    "target": TEXT,
    "task": words("classification", "regression"),
    "drop": NAMES,
    "group": TEXT,
    "split": TEXT,
    "epochs": COUNT,
    "metric": TEXT,
    "fixed": TABLE,
    "axes": TABLE,
    "points": POINTS,
    "draw": TABLE,
    "early_stopping": TABLE,
    "budget": TABLE,
}
DRAW = {"num": whole(1, 2**20), "method": words(*METHODS), "seed": SEED, "ranges": TABLE}
EARLY_STOPPING = {
    "patience": COUNT_OR_ZERO,
    "min_delta": NUMBER,
    "baseline": NUMBER,
    "restore_best": SWITCH,
    "start_from_epoch": COUNT_OR_ZERO,
    "monitor": TEXT,
    "mode": words("min", "max"),
}
BUDGET = {"updates": COUNT, "examples": COUNT, "epochs": COUNT}
NEEDED, NEEDED_OF_DRAW = ("data", "epochs"), ("num", "ranges")
# Settings of runs where there is early_stopping.
RULE_SETTINGS = {"patience": EARLY_STOPPING["patience"], "min_delta": EARLY_STOPPING["min_delta"]}
