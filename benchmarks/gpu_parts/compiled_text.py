"""What XLA made of a program, read from its text: the kernels of a step, and whether its loop is counted."""

import contextlib
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

# Instructions that launch nothing: names, constants, and the second half of what has begun before.
_FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "opt-barrier"),
    *("partition-id", "replica-id", "async-update", "async-done", "copy-done", "add-dependency"),
}
_HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_OPCODE = re.compile(r"(?<![\w%.\-])([a-z][a-z0-9\-]*)\(")
_CALLED = re.compile(r"(?:to_apply|calls|body|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
# Loops that draw random numbers: no steps of training.
_DRAWING = re.compile(r"threefry|shuffle|random|permutation|epoch_order")


class Instruction(NamedTuple):
    """opcode: what it does. line: its text. called: the computations it runs."""

    opcode: str
    line: str
    called: list[str]


class Step(NamedTuple):
    """The body of a training loop.

    kernels: instructions that launch one. is_counted: whether the number of rounds stands in the program; if
    not, a GPU's host waits in each round to hear whether there is a next.
    """

    kernels: int
    is_counted: bool


def step_of(text: str) -> Step | None:
    """The step of a compiled program: of its innermost loops that draw nothing the one with most kernels."""
    computations = _computations(text)
    loops = [each for body in computations.values() for each in body if each.opcode == "while"]
    steps = [
        Step(_kernels(computations, _body(loop)), "known_trip_count" in loop.line)
        for loop in loops
        if not _DRAWING.search(loop.line) and not _has_loop(computations, _body(loop))
    ]
    return max(steps, default=None)


def _computations(text: str) -> dict[str, list[Instruction]]:
    """The instructions of each computation by its name."""
    found: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            current = found.setdefault(head[1], [])
        elif " = " in line and line.startswith("  "):
            opcode = _OPCODE.search(line.partition(" = ")[2])
            if opcode:
                current.append(Instruction(opcode[1], line, _called(line)))
    return found


def _called(line: str) -> list[str]:
    branches = [name.strip(" %") for names in _BRANCHES.findall(line) for name in names.split(",")]
    return _CALLED.findall(line) + branches


def _body(loop: Instruction) -> str:
    return re.findall(r"body=%?([\w.\-]+)", loop.line)[0]


def _has_loop(computations: dict[str, list[Instruction]], name: str) -> bool:
    """Whether a loop lies in a computation, or in one that it calls."""
    called = (each for each in computations.get(name, []) if each.opcode != "fusion")
    return any(
        each.opcode == "while" or any(_has_loop(computations, inner) for inner in each.called)
        for each in called
    )


def _kernels(computations: dict[str, list[Instruction]], name: str) -> int:
    """Kernels and copies that a computation launches; of a conditional, those of its longest branch."""
    total = 0
    for each in computations.get(name, []):
        inner = [_kernels(computations, called) for called in each.called]
        if each.opcode == "call":
            total += sum(inner)
        elif each.opcode == "conditional":
            total += 1 + max(inner, default=0)
        else:
            total += each.opcode not in _FREE
    return total


class Recorded(NamedTuple):
    """A program that was compiled, and the seconds that XLA took for it."""

    compiled: Any
    seconds: float

    @property
    def step(self) -> Step | None:
        """The step of its training; None where its text could not be read, which costs no other figure."""
        with contextlib.suppress(Exception):
            return step_of(self.compiled.as_text())

    @property
    def megabytes(self) -> float:
        """What it needs on a device."""
        memory = self.compiled.memory_analysis()
        if memory is None:  # of a platform that does not say
            return float("nan")
        held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
        return (held + memory.temp_size_in_bytes) / 2**20


@contextlib.contextmanager
def recorded() -> Iterator[list[Recorded]]:
    """The programs that are compiled ahead in here, in any thread, as they are done."""
    found, original = [], jax.stages.Lowered.compile

    def compile_and_record(lowered, *arguments, **options):
        begun = time.perf_counter()
        compiled = original(lowered, *arguments, **options)
        found.append(Recorded(compiled, time.perf_counter() - begun))
        return compiled

    jax.stages.Lowered.compile = compile_and_record
    try:
        yield found
    finally:
        jax.stages.Lowered.compile = original
