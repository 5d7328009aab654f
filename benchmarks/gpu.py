"""What jaxgd does on a GPU, in one command of under ten minutes: numbers, bits, speed, memory.

    python benchmarks/gpu.py [--small] [--only PART ...] [--seconds 570] [--json FILE]

Each part is a process of its own with a time budget: one that fails or takes too long says so in a line, and
the others go on. It prints Markdown tables as it goes, and as its last line all of it as JSON; `--json` keeps
that in a file too, from the first part on. Nothing need be installed but what jaxgd depends on; a data set
that is not there is replaced by random rows of its shape. `--small` is the same code on a CPU, in a minute of
a quiet machine, for the tests.
"""

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from gpu_parts.reporting import DATA, Scope, run_sections

HERE = Path(__file__).resolve().parent
# For what a process does after its sections: a part is told to end before it is killed.
GRACE = 5.0
# How much longer a part of the small form may take: a busy CPU is no reason to end it.
PATIENCE = 10
# For a CPU, in the small form: compiles faster, with the same bits.
QUICK = "--xla_backend_optimization_level=1"


class Part(NamedTuple):
    """A process of the command.

    home: the module and its sections. seconds: that it may take. flags: for XLA, beside those that are set.
    in_small: whether the small form has it.
    """

    home: str
    seconds: float
    flags: str = ""
    in_small: bool = True


# The most telling first: what is left of the time goes to the workloads, and then to two experiments.
PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "numbers": Part("exactness:SECTIONS", 90),
        "bits": Part("promises:SECTIONS", 75),
        "lanes": Part("speed:LANES", 75),
        "update": Part("bandwidth:SECTIONS", 45),
        "memory": Part("memory:SECTIONS", 90),
        "workloads": Part("speed:WORKLOADS", 150, in_small=False),
        # Loops whose length is not in the program then need no answer from the host in each round.
        "lanes, loops in graphs": Part(
            "speed:LANES", 60, "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL", in_small=False
        ),
        "bits, deterministic kernels": Part(
            "promises:SECTIONS", 75, "--xla_gpu_deterministic_ops=true", in_small=False
        ),
    }
)


def main() -> None:
    """Run the parts, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="small sizes, on a CPU too")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=570, help="that all may take; ten times it if small")
    parser.add_argument("--json", type=Path, help="a file for what was found")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        be_part(PARTS[arguments.part].home, Scope(arguments.small, time.perf_counter() + arguments.seconds))
        return
    device = device_of()
    print(f"{device}\n", flush=True)
    if device["backend"] != "gpu" and not arguments.small:
        print("JAX finds no GPU here: nothing was measured (--small runs on a CPU)")
        return
    found: dict[str, Any] = {"device": device, "small": arguments.small, "parts": {}}
    patience = PATIENCE if arguments.small else 1
    end = time.perf_counter() + arguments.seconds * patience
    for name, part in PARTS.items():
        if name in (arguments.only or PARTS) and (part.in_small or not arguments.small):
            left = end - time.perf_counter()
            found["parts"][name] = run_part(name, part, min(part.seconds * patience, left), arguments.small)
            if arguments.json:
                arguments.json.write_text(json.dumps(found) + "\n")
    print(json.dumps(found))


def be_part(home: str, scope: Scope) -> None:
    """Run the sections of a part, in this process."""
    module, sections = home.split(":")
    run_sections(getattr(importlib.import_module(f"gpu_parts.{module}"), sections), scope)


def run_part(name: str, part: Part, seconds: float, small: bool) -> dict[str, Any]:
    """What a part found, by the titles of its sections; its tables are printed as they come."""
    print(f"## {name}{' (' + part.flags + ')' if part.flags else ''}\n", flush=True)
    if seconds < 2 * GRACE:
        print("No time was left.\n", flush=True)
        return {"failure": "no time was left"}
    command = [sys.executable, __file__, "--part", name, "--seconds", str(seconds - GRACE)]
    command, flags = command + ["--small"] * small, part.flags + QUICK * small
    begun, found = time.perf_counter(), {"sections": {}}
    with tempfile.TemporaryFile("w+") as errors, process(command, flags, errors) as child:
        with ended_after(child, seconds):
            take(child.stdout, found["sections"])
        status = child.wait()
        if status:
            late = time.perf_counter() - begun >= seconds
            found["failure"] = f"ended after {seconds:.0f} s" if late else why(status, errors)
            print(f"\n**{name} failed**: {found['failure']}\n", flush=True)
    return found | {"seconds": round(time.perf_counter() - begun, 1)}


def process(command: Sequence[str], flags: str, errors: Any) -> subprocess.Popen:
    """A part, begun, in a group of processes of its own, with these flags for XLA beside those set."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    environment = with_paths() | ({"XLA_FLAGS": flags} if flags else {})
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, start_new_session=True
    )


def with_paths() -> dict[str, str]:
    """The environment in which jaxgd, the benchmarks and those of sweeps are found, installed or not."""
    paths = [str(HERE.parent), str(HERE), str(HERE / "sweeps"), os.environ.get("PYTHONPATH", "")]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def ended_after(child: subprocess.Popen, seconds: float) -> Iterator[None]:
    """The child and what it started are killed if they take longer."""
    timer = threading.Timer(seconds, lambda: os.killpg(child.pid, signal.SIGKILL))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def take(lines: Any, sections: dict[str, Any]) -> None:
    """Print what is for readers, and keep what is data."""
    section: dict[str, Any] = {}
    for line in lines:
        if not line.startswith(DATA):
            print(line, end="", flush=True)
            continue
        ((kind, value),) = json.loads(line.removeprefix(DATA)).items()
        if kind == "begins":
            section = sections.setdefault(value, {"rows": [], "failure": "not ended"})
        elif kind == "row":
            section["rows"].append(value)
        else:
            section.update(value)


def why(status: int, errors: Any) -> str:
    """The last line of what a process said of its end."""
    errors.seek(0)
    lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
    return f"status {status}: {lines[-1][:300] if lines else 'it said nothing'}"


def device_of() -> dict[str, Any]:
    """What the parts run on, asked in a process of its own: one that looks for a GPU holds memory of it."""
    code = "from gpu_parts.device import description; import json; print(json.dumps(description()))"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=with_paths())
    if asked.returncode:
        raise SystemExit(f"JAX cannot start: {asked.stderr.strip().splitlines()[-1]}")
    return json.loads(asked.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
