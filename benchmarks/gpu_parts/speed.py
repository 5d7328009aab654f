"""Sweeps on a GPU beside the vmap that an expert writes by hand, and beside one jitted scan after another."""

import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import numpy as np
from compiled_text import Step
from gpu_parts.recording import Recorded, recorded
from gpu_parts.reporting import Scope, Table, in_turns, line_of, ratio, timed
from peers import expert_programs, grid, scan_programs
from workloads import Data, Workload, arrays_of, as_layers, data_of, final_loss, named

import jaxgd

SMALL = {
    "gpu1": ":batch_sizes=128,1024:rates=2:seeds=2:epochs=2",
    "gpu2": ":batch_sizes=full:optimizers=adam:rates=1:seeds=2:epochs=1",
    "3": ":rates=20:seeds=2:epochs=2",
}
ROUNDS = 5
MOST_SECONDS = 12.0  # of warm calls of one program
Layers = list[tuple[np.ndarray, np.ndarray]]


class Side(NamedTuple):
    """One way to run all runs of a program, compiled.

    call: runs them, gives the final layers of the first. compile_seconds: of its program, nothing compiled
    before. step: of its text. megabytes: that it needs. times: its runs times this are the program's.
    planned: megabytes and lanes, by the plan. inside: seconds in programs of each call, where that is known.
    """

    call: Callable[[], Layers]
    compile_seconds: float
    step: Step | None
    megabytes: float
    times: float = 1.0
    planned: tuple[float, str] = (0.0, "")
    inside: list[float] | None = None


class Compared(NamedTuple):
    """A program: its name, and its sides by theirs."""

    name: str
    sides: dict[str, Side]


def many_lanes(scope: Scope) -> None:
    """10,000 runs of a small model: one program."""
    compare("3", scope)


def small_models(scope: Scope) -> None:
    """Workload 1: many batch sizes."""
    compare("gpu1", scope)


def larger_models(scope: Scope) -> None:
    """Workload 2: four optimizers."""
    compare("gpu2", scope)


def compare(name: str, scope: Scope) -> None:
    """Print what each program of a workload takes, and then what was compiled."""
    whole = named(name + SMALL[name] * scope.small)
    arrays, source = examples_of(whole)
    print(
        f"{whole.examples} examples ({source}), layers {whole.layers}, {len(whole.rates)} rates, "
        f"{len(whole.seeds)} seeds, {whole.epochs} epochs. Seconds are warm, medians of calls in turns.\n"
    )
    table = Table(
        *("program", "runs", "lanes", "jaxgd, s", "in programs, s", "vmap, s", "vmap / jaxgd"),
        *("scan, s (scaled)", "scan / jaxgd", "TFLOP/s", "losses differ by"),
    )
    done, longest = [], 0.0
    for optimizer, size in whole.programs:
        begun, title = time.perf_counter(), f"{optimizer}, batch size {size}"
        if scope.seconds_left < longest:
            print(f"\nNot reached in time: {title}, and what follows.")
            break
        work = whole._replace(optimizers=(optimizer,), batch_sizes=(size,))
        sides = sides_of(work, arrays, scope.small)
        done.append(Compared(title, sides))
        add_row(table, title, work, data_of(work, arrays), sides, scope)
        longest = max(longest, time.perf_counter() - begun)
    print()
    tell_of_compiled(done)


def examples_of(work: Workload) -> tuple[dict[str, np.ndarray], str]:
    """What peers are given, and where from: random rows of the same shape where a data set is not there."""
    try:
        splits, source = jaxgd.datasets.load(work.dataset), work.dataset
        inputs, labels = (np.concatenate(parts)[: work.examples] for parts in zip(*splits, strict=True))
    except ImportError:
        source, random = f"random, in the place of {work.dataset}", np.random.default_rng(0)
        # As bright as digits are: a fifth of the pixels is not 0.
        inputs = random.uniform(size=(work.examples, work.layers[0]))
        inputs *= random.uniform(size=inputs.shape) < 0.2
        labels = np.argmax(inputs @ random.normal(size=(work.layers[0], work.layers[-1])), axis=1)
    return arrays_of(work, inputs, labels), source


def sides_of(work: Workload, arrays: dict[str, np.ndarray], small: bool) -> dict[str, Side]:
    """The sides that could be made of a program; what kept another from it is printed."""
    data, few = data_of(work, arrays), named(work.name + work.few)
    part = work._replace(rates=work.rates[: len(few.rates)], seeds=work.seeds[: len(few.seeds)])
    makers: dict[str, Callable[[], Side]] = {
        "jaxgd": lambda: own_side(work, data, small),
        "vmap": lambda: expert_side(work, data),
        "scan": lambda: scan_side(work, part, data_of(part, arrays)),
    }
    sides = {}
    for name, make in makers.items():
        try:
            sides[name] = make()
        except (Exception, SystemExit) as error:
            print(f"| {work.programs[0]}: {name} failed: {line_of(error)} |", flush=True)
    return sides


def own_side(work: Workload, data: Data, small: bool) -> Side:
    """`jaxgd.sweep`, by the plan that it chooses; in the small form at once, as on a GPU."""
    make_trainer, axes = grid(work, data)
    plan = jaxgd.plan(make_trainer, axes, work.epochs, kind="vmap") if small else None
    inside, plans = [], []

    def run():
        result = jaxgd.sweep(make_trainer, axes, work.epochs, progress=False, plan=plan)
        check_completed(result)
        plans.append(result.plan)
        inside.append(sum(group.run_seconds for group in result.plan.groups))
        first = {name: values[0] for name, values in axes.items() if name != "batch_size"}
        return as_layers(result.params(**first, batch_size=work.programs[0][1]))

    with recorded() as programs:
        run()
    first = plans[0].groups[0]
    largest = max(programs, key=lambda program: program.megabytes)
    return Side(
        run,
        sum(group.compile_seconds for group in plans[0].groups),
        largest.step,
        largest.megabytes,
        planned=(first.predicted_bytes / 2**20, f"{first.recipe.lanes} {first.recipe.kind}"),
        inside=inside,
    )


def check_completed(result: Any) -> None:
    """Raise unless all runs of a sweep went to their ends: else the work is not the same."""
    words = np.unique(result.dataset.status)
    if list(words) != ["completed"]:
        raise ValueError(f"the work is not the same: status {words}")


def expert_side(work: Workload, data: Data) -> Side:
    """The vmap over all runs."""
    programs, arguments = expert_programs(work, data)
    program, seconds = compiled_ahead(programs[work.programs[0]], arguments)

    def run():
        finals = jax.device_get(program.compiled(*arguments))
        return as_layers(jax.tree.map(lambda x: x[0], finals))

    return Side(run, seconds, program.step, program.megabytes)


def scan_side(work: Workload, part: Workload, data: Data) -> Side:
    """A scan over the updates of one run, for one run of the part after another."""
    programs, arguments = scan_programs(part, data)
    given = jax.device_put(arguments())
    program, seconds = compiled_ahead(programs[part.programs[0]], given[0])

    def run():
        finals = jax.device_get([program.compiled(*each) for each in given])
        return as_layers(finals[0])

    times = work.num_runs / part.num_runs
    return Side(run, seconds, program.step, program.megabytes, times)


def compiled_ahead(jitted: Any, arguments: Any) -> tuple[Recorded, float]:
    """A program as it is recorded, and the seconds that tracing, lowering and compiling it took."""
    with recorded() as programs:
        seconds = timed(lambda: jitted.lower(*arguments).compile())
    return programs[0], seconds


def add_row(
    table: Table, title: str, work: Workload, data: Data, sides: dict[str, Side], scope: Scope
) -> None:
    """Measure the sides in turns, and print what they take."""
    if not sides:
        return
    layers = {name: side.call() for name, side in sides.items()}
    calls = {name: side.call for name, side in sides.items()}
    end = min(scope.end, time.perf_counter() + MOST_SECONDS)
    medians = in_turns(calls, 2 if scope.small else ROUNDS, end)
    taken = {name: seconds * sides[name].times for name, seconds in medians.items()}
    own, vmap, scan = (taken.get(name) for name in ("jaxgd", "vmap", "scan"))
    losses = [final_loss(data, each) for each in layers.values()]
    side = sides.get("jaxgd")
    table.add(
        *(title, work.num_runs, side.planned[1] if side else "", own),
        *(statistics.median(side.inside[-ROUNDS:]) if side and side.inside else None, vmap, ratio(vmap, own)),
        *(scan, ratio(scan, own), work.flops / own / 1e12 if own else None),
        (max(losses) - min(losses)) / min(losses),
    )


def tell_of_compiled(compared: list[Compared]) -> None:
    """Print what compiling took, and what came of it."""
    table = Table(
        *("program", "by", "compile cold, s", "kernels a step", "rounds counted", "needs, MB", "planned, MB"),
    )
    for title, sides in compared:
        for name, side in sides.items():
            kernels, is_counted = side.step or (None, None)
            table.add(
                *(title, name, side.compile_seconds, kernels, is_counted, side.megabytes),
                side.planned[0] or None,
            )


def one_run(scope: Scope) -> None:
    """`jaxgd.fit` beside the hand-written scan: one run at batch size 32, which keeps no card busy."""
    whole = named("3:epochs=2" if scope.small else "gpu1")
    work = whole._replace(batch_sizes=(32,), rates=whole.rates[:1], seeds=whole.seeds[:1])
    arrays, _ = examples_of(work)
    data = data_of(work, arrays)
    make_trainer, axes = grid(work, data)
    trainer = make_trainer(SimpleNamespace(**{name: values[0] for name, values in axes.items()}))
    scan = scan_side(work, work, data)
    key = jax.random.key(work.seeds[0])
    fit = lambda: jax.block_until_ready(jaxgd.fit(trainer, key, work.epochs).state.params)  # noqa: E731
    cold = timed(fit)
    seconds = in_turns({"fit": fit, "scan": scan.call}, 2 if scope.small else 20, scope.end)
    table = Table("", "warm, s", "fit / this", "compile cold, s")
    table.add("jaxgd.fit", seconds["fit"], 1.0, cold - seconds["fit"])
    table.add("scan", seconds["scan"], seconds["fit"] / seconds["scan"], scan.compile_seconds)


LANES = {"10,000 lanes": many_lanes, "One run": one_run}
WORKLOADS = {"Workload 1": small_models, "Workload 2": larger_models}
