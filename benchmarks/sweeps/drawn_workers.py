"""Processes that run one side of a random spec, started cold and then asked for one warm call at a time.

    python benchmarks/sweeps/drawn_workers.py SIDE SPEC DIGITS.npz OPTIONS

is such a process; see `workers`. A line has the seconds of the call and the validation losses after an epoch;
that of jaxgd also has where the seconds went (`phases`), and what its plan predicted and took.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BEGUN = time.perf_counter()  # nothing heavy is imported before

import drawn  # noqa: E402
from workers import Worker, serve  # noqa: E402


def drawn_worker(
    side: str, spec: drawn.Spec, digits: Path, options: Mapping[str, Any] | None = None
) -> Worker:
    """A process that runs this side of a spec; `options` are further arguments of its function."""
    return Worker([__file__, side, drawn.as_text(spec), str(digits), json.dumps(dict(options or {}))])


def prepare_digits(path: Path) -> None:
    """Write what all sides train on, in a process of its own."""
    subprocess.run([sys.executable, __file__, "data", str(path)], check=True)


def main() -> None:
    """Be a worker."""
    if sys.argv[1] == "data":
        drawn.write_digits(Path(sys.argv[2]))
        return
    side, text, path, options = sys.argv[1:]
    spec, begins = drawn.from_text(text), itertools.chain([BEGUN], iter(time.perf_counter, None))
    import drawn_sides

    phases = _phases() if side == "jaxgd" else None
    run = drawn_sides.SIDES[side](spec, drawn.read_digits(Path(path), spec), **json.loads(options))
    if phases is not None:
        phases.watch_clock()

    def line():
        begun = next(begins)
        ran, seconds = run(), time.perf_counter() - begun
        line = {"seconds": seconds, "losses": ran.losses[..., 0].ravel().tolist()}
        if phases is not None:
            line |= {"phases": phases.shares(begun, begun + seconds), "plan": predicted_and_taken(ran.plan)}
        return line

    serve(line)


def _phases() -> Any:
    from phases import Phases

    return Phases()


def predicted_and_taken(plan: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of all programs of a plan: to compile and to run, as predicted and as taken."""
    names = [f"{before}{kind}_seconds" for kind in ("compile", "run") for before in ("predicted_", "")]
    return {name: sum(program[name] for program in plan["groups"]) for name in names}


if __name__ == "__main__":
    main()
