"""A sweep whose units are jobs of SLURM, by submitit: `pip install submitit`, then run this.

Where there is no SLURM, submitit has processes of this machine do the same. On a cluster, give `folder=` a
folder that all nodes see.
"""

import tempfile

import submitit

import jaxgd

executor = submitit.AutoExecutor(tempfile.mkdtemp())  # where submitit keeps its jobs
executor.update_parameters(timeout_min=10, cpus_per_task=1)

problem = jaxgd.classification(jaxgd.mlp([30, 16, 2]), *jaxgd.datasets.load("breast_cancer"))
axes = {"optimizer": ["sgd", "adam"], "learning_rate": [0.001, 0.01, 0.1], "seed": [0, 1]}


def make_trainer(hp):
    """A run of the sweep."""
    return jaxgd.trainer(problem, getattr(jaxgd, hp.optimizer)(hp.learning_rate), batch_size=16)


result = jaxgd.sweep(make_trainer, axes, epochs=5, executor=executor)
print(result, result.best("valid_accuracy"), sep="\n")
