"""What XLA made of a program, by its text: kernels of a step and in all, and whether its loop is counted."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Instructions that launch nothing: names, constants, and the second half of what has begun before.
_FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "opt-barrier"),
    *("partition-id", "replica-id", "async-update", "async-done", "copy-done", "add-dependency"),
}
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_OPCODE = re.compile(r"(?<![\w%.\-])([a-z][a-z0-9\-]*)\(")
_CALLED = re.compile(r"(?:to_apply|calls|body|condition|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
# Loops that draw random numbers: no steps of training.
_DRAWING = re.compile(r"threefry|shuffle|random|permutation|epoch_order")
Computations = dict[str, list["Instruction"]]


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
    _, computations = _parsed(text)
    loops = [each for body in computations.values() for each in body if each.opcode == "while"]
    steps = [
        Step(_kernels(computations, _body(loop)), "known_trip_count" in loop.line)
        for loop in loops
        if not _DRAWING.search(loop.line) and not _has_loop(computations, _body(loop))
    ]
    return max(steps, default=None)


def kernels_of_program(text: str) -> int:
    """Kernels, copies, loops and calls in all that a compiled program runs, each counted once."""
    entry, computations = _parsed(text)
    reached = set(_reached(computations, entry))
    return sum(each.opcode not in _FREE for name in reached for each in computations[name])


def _reached(computations: Computations, name: str) -> Iterator[str]:
    """The computations that run one after the other from this one on: loops, branches and calls."""
    yield name
    for each in computations[name]:
        if each.opcode in ("while", "conditional", "call"):
            for called in each.called:
                yield from _reached(computations, called)


def _parsed(text: str) -> tuple[str, Computations]:
    """The name of a program's entry, and the instructions of each computation by its name."""
    found: Computations = {}
    entry, current = "", []
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            current = found.setdefault(head[2], [])
            entry = head[2] if head[1] else entry
        elif " = " in line and line.startswith("  "):
            opcode = _OPCODE.search(line.partition(" = ")[2])
            if opcode:
                current.append(Instruction(opcode[1], line, _called(line)))
    return entry, found


def _called(line: str) -> list[str]:
    branches = [name.strip(" %") for names in _BRANCHES.findall(line) for name in names.split(",")]
    return _CALLED.findall(line) + branches


def _body(loop: Instruction) -> str:
    return re.findall(r"body=%?([\w.\-]+)", loop.line)[0]


def _has_loop(computations: Computations, name: str) -> bool:
    """Whether a loop lies in a computation, or in one that it calls."""
    called = (each for each in computations.get(name, []) if each.opcode != "fusion")
    return any(
        each.opcode == "while" or any(_has_loop(computations, inner) for inner in each.called)
        for each in called
    )


def _kernels(computations: Computations, name: str) -> int:
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
