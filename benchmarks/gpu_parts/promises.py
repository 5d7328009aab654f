"""Which promises about bits hold on the device, each yes or no.

    python promises.py [--small]

prints a digest of the sweep that the others are compared with.
"""

import contextlib
import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from gpu_parts.grids import RATES, SEEDS, distance, kind_of, maker, numbers_of, sweep
from gpu_parts.reporting import Scope, Table, line_of

import jaxgd
from jaxgd.sweeps.engine.driver import Driver

AXES = {"learning_rate": RATES, "seed": SEEDS}
LANES = len(RATES) * len(SEEDS)
EPOCHS, BATCH = 3, 32
TOO_HIGH, TOO_HIGH_AT = 1e30, 1
SHORT, LONGER = 1e-9, 1e-3  # calls of a batch, and of some
Numbers = dict[str, np.ndarray]


class Tried(NamedTuple):
    """What was computed, and what it has to be equal to, bit for bit."""

    found: Numbers
    expected: Numbers


class Promises:
    """Each public method but `swept` tries one; `base` are the numbers of all lanes of the grid together."""

    def __init__(self, small: bool):
        self.make_trainer, self.small = maker(small, batch_size=BATCH), small
        self.result = self.swept(AXES)
        self.base = numbers_of(self.result)

    def swept(self, axes: dict[str, Any], **options: Any) -> Any:
        """The result for these axes, in a program of as many lanes as the whole grid."""
        plan = jaxgd.plan(self.make_trainer, axes, EPOCHS, lanes=LANES, **kind_of(self.small))
        return sweep(self.make_trainer, axes, EPOCHS, plan, **options)

    def again(self) -> Tried:
        """The same sweep."""
        return Tried(numbers_of(self.swept(AXES)), self.base)

    def planned(self) -> Tried:
        """The plan of the result, followed."""
        return Tried(numbers_of(sweep(self.make_trainer, AXES, EPOCHS, self.result.plan)), self.base)

    def in_another_process(self) -> Tried:
        """The digest of the sweep in a new process, which compiles for itself."""
        command = [sys.executable, __file__, *["--small"] * self.small]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
        return Tried({"digest": as_numbers(told)}, {"digest": as_numbers(digest(self.base))})

    def isolated(self) -> Tried:
        """The lanes beside one that diverges at once."""
        rates = [TOO_HIGH if place == TOO_HIGH_AT else rate for place, rate in enumerate(RATES)]
        result = self.swept({"learning_rate": rates, "seed": SEEDS})
        words = result.dataset.status.values[TOO_HIGH_AT]
        if set(words) != {"diverged"}:
            raise ValueError(f"the lanes at rate {TOO_HIGH} ended as {words}")
        others = [place for place in range(len(RATES)) if place != TOO_HIGH_AT]
        return Tried(at(numbers_of(result), others), at(self.base, others))

    def alone(self) -> Tried:
        """One lane without others, in the same program."""
        axes = {"learning_rate": RATES[2:3], "seed": SEEDS[:1]}
        plan, recipe = jaxgd.plan(self.make_trainer, axes, EPOCHS), self.result.plan.groups[0].recipe
        plan = dataclasses.replace(plan, groups=(dataclasses.replace(plan.groups[0], recipe=recipe),))
        found = sweep(self.make_trainer, axes, EPOCHS, plan)
        return Tried(numbers_of(found), at(self.base, [2], [0]))

    def permuted(self) -> Tried:
        """The lanes in the reverse order."""
        found = numbers_of(self.swept({"learning_rate": RATES[::-1], "seed": SEEDS[::-1]}))
        return Tried(at(found, [*range(len(RATES))][::-1], [*range(len(SEEDS))][::-1]), self.base)

    def cut_short(self) -> Tried:
        """Segments of a batch."""
        with calls_of(SHORT):
            return self.again()

    def cut_longer(self) -> Tried:
        """Segments of about a millisecond."""
        with calls_of(LONGER):
            return self.again()

    def resumed(self) -> Tried:
        """A sweep in a folder that was interrupted within an epoch, and gone on with."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                with calls_of(SHORT), interrupted_at(5):
                    self.swept(AXES, folder=folder)
            except jaxgd.Interrupted as stop:
                if stop.result.num_ended:
                    raise ValueError(f"{stop.result.num_ended} runs had ended") from stop
            else:
                raise ValueError("the sweep was not interrupted")
            with contextlib.redirect_stderr(None):
                return Tried(numbers_of(self.swept(AXES, folder=folder)), self.base)

    def exact(self) -> Tried:
        """`exact=True` beside `fit`, which is promised on a CPU."""
        axes = {"learning_rate": RATES[2:3], "seed": SEEDS}
        found = sweep(self.make_trainer, axes, EPOCHS, exact=True)
        return Tried(parameters(numbers_of(found)), self._fitted())

    def as_fit(self) -> Tried:
        """Lanes at once beside `fit`, which nothing promises."""
        return Tried(parameters(at(self.base, [2])), self._fitted())

    def _fitted(self) -> Numbers:
        """The parameters that `fit` gives at the third rate."""
        tr = self.make_trainer({"learning_rate": RATES[2]})
        states = [jaxgd.fit(tr, jax.random.key(seed), EPOCHS).state for seed in SEEDS]
        runs = [jax.tree.leaves(jax.device_get(state.params)) for state in states]
        return {f"parameters {i}": np.stack(leaf)[None] for i, leaf in enumerate(zip(*runs, strict=True))}


Trial = Callable[[Promises], Tried]
TRIED: dict[str, tuple[str, Trial]] = {
    "a lane that diverges touches no neighbour": ("yes", Promises.isolated),
    "the same sweep again": ("yes", Promises.again),
    "its plan followed": ("yes", Promises.planned),
    "a lane alone as among others": ("yes", Promises.alone),
    "lanes in another order": ("yes", Promises.permuted),
    "cut after each batch": ("yes", Promises.cut_short),
    "cut after about a millisecond": ("yes", Promises.cut_longer),
    "interrupted within an epoch, gone on with": ("yes", Promises.resumed),
}
# Each compiles further programs.
FURTHER: dict[str, tuple[str, Trial]] = {
    "in another process": ("yes", Promises.in_another_process),
    "exact=True as fit": ("on a CPU", Promises.exact),
    "lanes at once as fit": ("no", Promises.as_fit),
}


def bits(scope: Scope) -> None:
    """Print which promises hold; where one does not, how far the numbers are apart."""
    promises = Promises(scope.small)
    print(f"{promises.result.plan.groups[0].recipe}; batch size {BATCH}, {EPOCHS} epochs, float32.\n")
    table = Table("bits", "promised", "hold", "apart by", "failed")
    for name, (promised, try_it) in (TRIED if scope.small else TRIED | FURTHER).items():
        if scope.seconds_left <= 0:
            print(f"\nNot reached in time: {name}, and what follows.")
            break
        try:
            found, expected = try_it(promises)
            hold = all(np.array_equal(found[each], expected[each], equal_nan=True) for each in expected)
            table.add(name, promised, hold, None if hold else distance(found, expected), "")
        except Exception as error:
            table.add(name, promised, None, None, line_of(error))


def parameters(numbers: Numbers) -> Numbers:
    """The parameters among a sweep's numbers."""
    return {name: values for name, values in numbers.items() if name.startswith("parameters")}


def at(numbers: Numbers, rates: list[int], seeds: list[int] | None = None) -> Numbers:
    """A sweep's numbers at these places of its axes, in this order."""
    seeds = list(range(len(SEEDS))) if seeds is None else seeds
    return {name: values[np.ix_(rates, seeds)] for name, values in numbers.items()}


def digest(numbers: Numbers) -> str:
    """The SHA-256 of all numbers."""
    return hashlib.sha256(b"".join(values.tobytes() for _, values in sorted(numbers.items()))).hexdigest()


def as_numbers(text: str) -> np.ndarray:
    """The bytes of a digest."""
    return np.array(list(bytes.fromhex(text)), float)


@contextlib.contextmanager
def calls_of(seconds: float) -> Iterator[None]:
    """Sweeps in here move on by calls that aim at so many seconds."""
    before, Driver.call_seconds = Driver.call_seconds, seconds
    try:
        yield
    finally:
        Driver.call_seconds = before


@contextlib.contextmanager
def interrupted_at(number: int) -> Iterator[None]:
    """A sweep in here gets Ctrl-C in this call."""
    before, calls = Driver.call, []

    def call(driver):
        calls.append(driver)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGINT)
        return before(driver)

    Driver.call = call
    try:
        yield
    finally:
        Driver.call = before


SECTIONS = {"Bits": bits}

if __name__ == "__main__":
    print(digest(Promises("--small" in sys.argv).base))
