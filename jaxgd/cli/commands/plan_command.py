"""`jaxgd plan`: the programs that a sweep would be, and what they take on devices that need not be here."""

import argparse
import os
import sys
from contextlib import contextmanager

from jaxgd.cli import jax_start
from jaxgd.cli.inputs import InputError, add_spec, bad_input, errors_in, read_runs


def add(commands) -> None:
    """Add the command's parser."""
    plan = commands.add_parser(
        "plan",
        help="say which programs a sweep would be, here or on a TPU that is only described",
        description="Print the plan of the sweep that a TOML file describes, and train nothing. With "
        "--devices its programs are compiled for a TPU that need not be here: it says what "
        "they need of its memory, and what its devices would have to tell each other.",
    )
    add_spec(plan)
    option = plan.add_argument
    option(
        "--devices",
        metavar="KIND:CHIPS",
        help='a TPU, such as v5e:4x4, to compile for; needs pip install "jaxgd[tpu-plan]"',
    )
    option("--exact", action="store_true", help="as in `jaxgd sweep`")
    plan.set_defaults(run=_plan)


def _plan(arguments: argparse.Namespace, command: str) -> None:
    if arguments.devices is None:
        jax_start.start_jax(cache=True)
        runs = read_runs(arguments.spec, arguments.overrides)
        with errors_in(runs.file):
            print(runs.plan(arguments.exact))
        return

    from jaxgd.machine.topologies import checked_topology, described_devices

    with bad_input():
        checked_topology(arguments.devices)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # a TPU that is here is not taken from who trains on it
    jax_start.start_jax(cache=False)
    with bad_input():
        devices = described_devices(arguments.devices)
    runs = read_runs(arguments.spec, arguments.overrides)
    with _refused(arguments.devices), errors_in(runs.file):
        plan, programs = runs.compiled(devices, _tell, arguments.exact)
    print(_text(plan, programs, devices))


@contextmanager
def _refused(devices: str):
    """Turn what no such devices take into an `InputError`."""
    import jax

    try:
        yield
    except MemoryError as error:
        raise InputError(f"the sweep is too large for {devices}: {error}") from error
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"XLA does not compile the sweep for {devices}: {reason}") from error


def _tell(done: int, total: int) -> None:
    print(f"{done} of {total} programs compiled", file=sys.stderr)


def _text(plan, programs, devices) -> str:
    """The plan with what its programs were compiled to."""
    from jaxgd.machine.devices import free_bytes
    from jaxgd.reports.scales import bytes_text

    free = free_bytes(devices)
    of_free = f" of {bytes_text(free)}" if free else ""
    lines = [plan.title]
    for number, compiled in enumerate(programs, 1):
        program = compiled.program
        counts = [f"{count} x {name}" for name, count in sorted(compiled.collectives.items())]
        between = ", ".join(counts) or "none"
        lines += [
            f"{number}. {program.title}",
            f"     {program.recipe}: {program.reason}",
            f"     fits: {bytes_text(compiled.bytes)}{of_free} on each device; collectives: {between}",
            f"     compiled in {compiled.seconds:.1f} s",
        ]
    lines.append(
        "Compiled, not run: seconds by which programs are chosen are those of a CPU, no TPU was timed"
    )
    hosts = len({device.process_index for device in devices})
    if hosts > 1:
        lines.append(
            f"! {hosts} hosts: a process of jaxgd trains on one, so each takes a part (--part K/{hosts})"
        )
    return "\n".join(lines)
