"""`jaxgd list`: the optimizers, data sets, models and surfaces by name."""

import argparse
from collections.abc import Callable

from jaxgd.specs.presets import LEARNING_RATES


def add(commands) -> None:
    """Add the command's parser."""
    listing = commands.add_parser("list", help="name the optimizers, data sets, models and surfaces")
    listing.set_defaults(run=_list)


def _list(arguments: argparse.Namespace, command: str) -> None:
    from jaxgd.landscape.surfaces.catalogue import KINDS
    from jaxgd.optim import optimizers
    from jaxgd.training.data.datasets import DATASETS
    from jaxgd.training.models import networks

    print("optimizers (and the learning rates that compare tries)")
    for name, rates in LEARNING_RATES.items():
        print(f"  {name:<14} {_first_line(getattr(optimizers, name))}")
        print(f"  {'':<14} {', '.join(f'{rate:g}' for rate in rates)}")
    print("\ndata sets")
    for name, entry in DATASETS.items():
        print(f"  {name:<14} {entry.task}: {entry.summary}")
    print("\nmodels")
    for name in ("mlp", "linear"):
        print(f"  {name:<14} {_first_line(getattr(networks, name))}")
    print("\nsurfaces (for `jaxgd landscape`)")
    for name, kind in KINDS.items():
        print(f"  {name:<15} {kind.formula}")


def _first_line(function: Callable) -> str:
    return (function.__doc__ or "").strip().splitlines()[0].replace("`", "")
