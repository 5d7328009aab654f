"""The calls of docs/differences.md give PyTorch's numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgd import optim

torch = pytest.importorskip("torch")

DECAYED_SGD = optim.chain(optim.add_decayed_weights(0.1), optim.sgd(0.1))
TORCH_RMSPROP = {"decay": 0.99, "eps_in_sqrt": False}
PAIRS = {
    "sgd": ("SGD", {}, optim.sgd(0.1)),
    "momentum": ("SGD", {"momentum": 0.9}, optim.momentum(0.1)),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}, optim.nesterov(0.1)),
    "sgd with weight decay": ("SGD", {"weight_decay": 0.1}, DECAYED_SGD),
    "adagrad": ("Adagrad", {"initial_accumulator_value": 0.1, "eps": 0.0}, optim.adagrad(0.1, eps=0.0)),
    "rmsprop": ("RMSprop", {}, optim.rmsprop(0.1, **TORCH_RMSPROP)),
    "rmsprop centered": ("RMSprop", {"centered": True}, optim.rmsprop(0.1, **TORCH_RMSPROP, centered=True)),
    "rmsprop momentum": ("RMSprop", {"momentum": 0.9}, optim.rmsprop(0.1, **TORCH_RMSPROP, momentum=0.9)),
    "adadelta": ("Adadelta", {"lr": 1.0}, optim.adadelta()),
    "adam": ("Adam", {}, optim.adam(0.1)),
    "adamw": ("AdamW", {}, optim.adamw(0.1, weight_decay=1e-2)),
    "nadam": ("NAdam", {}, optim.nadam(0.1, momentum_decay=4e-3)),
}


@pytest.fixture(autouse=True)
def float64_in_torch():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps its product of decays in the default dtype
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize(("name", "arguments", "ours"), PAIRS.values(), ids=PAIRS)
def test_pytorch_is_reproduced(name, arguments, ours):
    gradients = np.random.default_rng(0).normal(size=(12, 4))
    weights = torch.ones(4, dtype=torch.float64, requires_grad=True)
    theirs = getattr(torch.optim, name)([weights], **{"lr": 0.1} | arguments)
    with jax.enable_x64(True):
        params, state = jnp.ones(4), ours.init(jnp.ones(4))
        for gradient in gradients:
            weights.grad = torch.tensor(gradient)
            theirs.step()
            updates, state = ours.update(jnp.asarray(gradient), state, params)
            params = optax.apply_updates(params, updates)
            np.testing.assert_allclose(params, weights.detach().numpy(), rtol=1e-9)
