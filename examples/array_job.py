"""A sweep of one's own model as an array job of SLURM, each task a part of it:

    sbatch --array=1-4 --wrap "python examples/array_job.py my-sweep"

Without SLURM it is the only part. A task that was killed is sent again, and trains what is not there.
"""

import os
import sys
import tempfile

import jaxgd

folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
number = int(os.environ.get("SLURM_ARRAY_TASK_ID", 1))
of = int(os.environ.get("SLURM_ARRAY_TASK_COUNT", 1))

train, valid, _ = jaxgd.datasets.load("digits")
problem = jaxgd.classification(jaxgd.mlp([64, 32, 10]), train, valid)
axes = {"batch_size": [16, 128], "learning_rate": [0.001, 0.003, 0.01], "seed": [0, 1]}

result = jaxgd.sweep(
    lambda hp: jaxgd.trainer(problem, jaxgd.adam(hp.learning_rate), hp.batch_size),
    axes,
    epochs=3,
    folder=folder,
    part=(number, of),
)
print(f"part {number} of {of}: {result.num_ended} of {result.dataset.status.size} runs are in {folder}")
