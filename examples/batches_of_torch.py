"""Training on what a torch DataLoader gives: `pip install torch`, then run this file."""

import jax
import torch
from torch.utils.data import DataLoader, TensorDataset

import jaxgd

(inputs, labels), valid, _ = jaxgd.datasets.load("digits")
dataset = TensorDataset(torch.tensor(inputs), torch.tensor(labels))
loader = DataLoader(dataset, batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(0))

problem = jaxgd.classification(jaxgd.mlp([64, 64, 10]), None, valid)
trainer = jaxgd.trainer(problem, jaxgd.adam(1e-3), batch_size=32)
fit = jaxgd.train(trainer, jax.random.key(0), epochs=10, batches=loader)
print(
    f"validation accuracy {fit.history['valid_accuracy'][-1]:.3f} after {fit.history['updates'][-1]} updates"
)
