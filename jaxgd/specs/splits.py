"""Validation and test examples for a problem that comes without them."""

import jax
import numpy as np

from jaxgd.training import Problem

SEED = 0


def complete_splits(problem: Problem) -> tuple[Problem, str | None]:
    """The problem with a validation and a test split, and a sentence about those that were made, or None.

    Each missing split takes 20 % of the training examples, drawn at random with a fixed seed.
    """
    missing = [name for name in ("valid", "test") if getattr(problem, name) is None]
    if not missing:
        return problem, None
    count = problem.num_examples
    size = count // 5
    if size < 1:
        raise ValueError(
            f"problem has {count} training examples; a {missing[0]} split needs at least 5 to be drawn from"
        )
    order = np.random.default_rng(SEED).permutation(count)
    parts = {name: order[i * size : (i + 1) * size] for i, name in enumerate(missing)}
    parts["train"] = order[len(missing) * size :]
    made = problem.replace(**{name: _rows(problem.train, rows) for name, rows in parts.items()})
    words = {"valid": "validation", "test": "test"}
    names = " and no ".join(words[name] for name in missing)
    each, them = (" each", "them") if len(missing) > 1 else ("", "it")
    return made, (
        f"The problem has no {names} split: {size:,} of its {count:,} training examples{each} "
        f"were drawn for {them} (seed {SEED})."
    )


def num_rows(examples) -> int:
    """The number of examples of a split."""
    return len(jax.tree.leaves(examples)[0])


def _rows(examples, rows: np.ndarray):
    return jax.tree.map(lambda array: np.asarray(array)[np.sort(rows)], examples)
