"""Training on what Grain gives, and going on where it was: `pip install grain`, then run this file."""

import grain
import jax
import numpy as np

import jaxgd

(inputs, labels), valid, _ = jaxgd.datasets.load("digits")
examples = [{"image": image, "label": label} for image, label in zip(inputs, labels, strict=True)]


def loader():
    """Shuffled batches, each a pair (inputs, labels)."""
    dataset = grain.MapDataset.source(examples).seed(0).shuffle().to_iter_dataset()
    return dataset.map(lambda example: (example["image"], np.int32(example["label"]))).batch(32)


key = jax.random.key(0)
problem = jaxgd.classification(jaxgd.mlp([64, 64, 10]), None, valid)
trainer = jaxgd.trainer(problem, jaxgd.adam(1e-3), batch_size=32)
half = jaxgd.train(trainer, key, updates=20, batches=loader())
fit = jaxgd.train(trainer, key, updates=200, batches=loader(), start=half)  # from the 21st batch on
print(
    f"validation accuracy {fit.history['valid_accuracy'][-1]:.3f} after {fit.history['updates'][-1]} updates"
)
