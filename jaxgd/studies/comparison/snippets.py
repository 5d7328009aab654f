"""Python code that repeats what a comparison reports."""

from jaxgd.studies.comparison.cells import Cell
from jaxgd.studies.comparison.experiment import Experiment


def write_snippet(experiment: Experiment, cell: Cell) -> str:
    """Code that trains the cell on the fresh seeds and prints their test scores, ready to paste."""
    full = cell.batch_size == experiment.source.problem.num_examples
    batch_size = '"full"' if full else str(cell.batch_size)
    seeds = experiment.seeds.fresh(0, cell.seeds)
    # Without it they would be scored by the running averages from before training.
    state = "" if experiment.source.problem.model_state is None else ", fit.state.model_state"
    return "\n".join(
        [
            "import jax",
            "import jaxgd",
            _setup(experiment),
            f"optimizer = jaxgd.{cell.optimizer}({cell.learning_rate!r})",
            f"trainer = jaxgd.trainer(problem, optimizer, batch_size={batch_size})",
            f"for seed in range({seeds.start}, {seeds.stop}):",
            f"    fit = jaxgd.fit(trainer, jax.random.key(seed), epochs={experiment.epochs})",
            f'    scores = jaxgd.evaluate(problem, fit.state.params, "test"{state})',
            "    print(seed, {name: float(score) for name, score in scores.items()})",
            "",
            "",
        ]
    )


def _setup(experiment: Experiment) -> str:
    """The code that builds the problem, or what its owner has to put there."""
    source = experiment.source
    if source.setup is not None:
        return source.setup
    owner = "\n# problem = ...  the jaxgd.Problem that was given to jaxgd.compare"
    if source.made_splits is None:
        return owner
    return f"from jaxgd.specs.splits import complete_splits\n{owner}\nproblem, _ = complete_splits(problem)"
