"""What the numbers of a program's runs depend on, as digests: its text, what it is given, and its recipe."""

import hashlib
import json
from typing import NamedTuple

from jaxgd.fingerprints.contents import sha256_of
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.planning.plans import Recipe


class ProgramIdentity(NamedTuple):
    """SHA-256 each: two programs whose identities are equal give equal bits, on one kind of machine.

    program: the text of its StableHLO, with its constants. arrays: what all runs share, such as their data.
    numbers: what each run has of its own, initial parameters included. recipe: how it moves them.
    """

    program: str
    arrays: str
    numbers: str
    recipe: str

    def difference(self, other: "ProgramIdentity") -> str | None:
        """What has changed, in words; None where nothing has."""
        changed = (word for word, one, two in zip(_WORDS, self, other, strict=True) if one != two)
        return next(changed, None)


_WORDS = (
    "the code of its model, loss, optimizer or rules, or a value that this code reads",
    "the arrays that its runs share",
    "the numbers of its runs or their initial parameters",
    "the way in which it runs them",
)


def identity_of(inputs: Inputs, recipe: Recipe, program: str) -> ProgramIdentity:
    """The identity of a group's program, of whose text the digest is given."""
    group = inputs.group
    numbers = ((lane, *inputs.begins_with(run)) for run, lane in zip(group.runs, group.lanes, strict=True))
    return ProgramIdentity(program, sha256_of([inputs.shared]), sha256_of(numbers), _digest_of(recipe))


def _digest_of(recipe: Recipe) -> str:
    return hashlib.sha256(json.dumps(recipe._asdict()).encode()).hexdigest()
