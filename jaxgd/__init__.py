"""Gradient-descent experiments as pytrees.

An optimizer is a pytree of its hyperparameters, a trainer is a pytree of its optimizer and problem, and a
sweep is a batch axis over that pytree. Names are loaded on first use: `import jaxgd` imports no JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxgd import landscape as landscape, optim as optim, studies as studies
    from jaxgd.landscape import curvature as curvature
    from jaxgd.logs.event_files import tensorboard as tensorboard
    from jaxgd.machine.interrupts import Interrupted as Interrupted
    from jaxgd.optim import (
        Transform as Transform,
        adadelta as adadelta,
        adagrad as adagrad,
        adam as adam,
        adamw as adamw,
        apply_updates as apply_updates,
        chain as chain,
        current_learning_rate as current_learning_rate,
        from_optax as from_optax,
        generalize as generalize,
        make_update as make_update,
        masked as masked,
        momentum as momentum,
        nadam as nadam,
        nadamw as nadamw,
        named_chain as named_chain,
        nesterov as nesterov,
        partition as partition,
        rmsprop as rmsprop,
        scale_by_moments as scale_by_moments,
        sgd as sgd,
        stack as stack,
    )
    from jaxgd.reports import figures as figures, figures as views  # noqa: F401
    from jaxgd.studies.batch_size.asking import study as study
    from jaxgd.studies.batch_size.found import Study as Study
    from jaxgd.studies.comparison.comparing import compare as compare
    from jaxgd.studies.comparison.conclusions import Comparison as Comparison
    from jaxgd.sweeps import (
        Best as Best,
        Calibration as Calibration,
        Plan as Plan,
        SweepResult as SweepResult,
        WorkerMismatchError as WorkerMismatchError,
        calibrate as calibrate,
        draw as draw,
        enable_compilation_cache as enable_compilation_cache,
        int_uniform as int_uniform,
        load as load,
        log_uniform as log_uniform,
        plan as plan,
        sweep as sweep,
        sweep_function as sweep_function,
        throughput as throughput,
        uniform as uniform,
    )
    from jaxgd.tables.prepared import PreparedTable as PreparedTable, table as table
    from jaxgd.training import (
        BatchError as BatchError,
        Fit as Fit,
        Model as Model,
        Observation as Observation,
        Problem as Problem,
        Rule as Rule,
        Trainer as Trainer,
        average_weights as average_weights,
        budget as budget,
        char_transformer as char_transformer,
        classification as classification,
        conv_net as conv_net,
        drop_connect as drop_connect,
        dropout as dropout,
        early_stopping as early_stopping,
        early_stopping_trace as early_stopping_trace,
        evaluate as evaluate,
        find_learning_rate as find_learning_rate,
        fit as fit,
        from_equinox as from_equinox,
        from_linen as from_linen,
        from_nnx as from_nnx,
        iterate as iterate,
        linear as linear,
        mixed_precision as mixed_precision,
        mlp as mlp,
        noise_scale as noise_scale,
        reduce_on_plateau as reduce_on_plateau,
        regression as regression,
        regularized as regularized,
        seconds as seconds,
        train as train,
        trainer as trainer,
    )
    from jaxgd.training.data import datasets as datasets

__version__: str  # of the installed package, read on first use

# Where each public name is found. The imports above repeat it for type checkers; a test compares the two.
_HOMES = {
    "jaxgd.optim": "Transform chain stack from_optax apply_updates scale_by_moments "
    "sgd momentum nesterov adagrad rmsprop adadelta adam adamw nadam nadamw "
    "named_chain masked partition current_learning_rate generalize make_update",
    "jaxgd.training": "Problem Model mlp linear conv_net char_transformer "
    "from_linen from_nnx from_equinox classification regression "
    "dropout drop_connect regularized Trainer trainer Fit fit iterate seconds train BatchError evaluate "
    "find_learning_rate mixed_precision "
    "Rule Observation early_stopping early_stopping_trace reduce_on_plateau average_weights budget "
    "noise_scale",
    "jaxgd.sweeps": "sweep sweep_function SweepResult plan Plan Best load throughput draw uniform "
    "log_uniform int_uniform calibrate Calibration enable_compilation_cache WorkerMismatchError",
    "jaxgd.logs.event_files": "tensorboard",
    "jaxgd.machine.interrupts": "Interrupted",
    "jaxgd.tables.prepared": "table PreparedTable",
    "jaxgd.studies.batch_size.asking": "study",
    "jaxgd.studies.batch_size.found": "Study",
    "jaxgd.studies.comparison.comparing": "compare",
    "jaxgd.studies.comparison.conclusions": "Comparison",
}
_MODULES = {
    "optim": "jaxgd.optim",
    "datasets": "jaxgd.training.data.datasets",
    "curvature": "jaxgd.landscape.curvature",
    "landscape": "jaxgd.landscape",
    "studies": "jaxgd.studies",
    "figures": "jaxgd.reports.figures",
    "views": "jaxgd.reports.figures",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [*sorted({*_HOME_OF, *_MODULES}), "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    """Return the public name, imported from its home on first use (PEP 562)."""
    if name == "__version__":
        value = import_module("jaxgd.machine.host").own_version()
    elif name in _MODULES:
        value = import_module(_MODULES[name])
    elif name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
    else:
        raise AttributeError(f"module 'jaxgd' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
