"""The peers that are not in JAX: PyTorch, torch.func, scikit-learn. As those of `peers`.

Each PyTorch peer uses one thread or all, whichever takes less for an epoch of its first program.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.func import functional_call, grad, stack_module_state, vmap
from workloads import MOMENTUM, Data, Finals, Workload, batches, one_by_one

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def torch_loop(work: Workload, data: Data) -> Callable[[], Finals]:
    """A loop over batches for one run after another, Adam in its fused form."""
    makers = {
        "sgd": lambda params, rate: torch.optim.SGD(params, rate),
        "momentum": lambda params, rate: torch.optim.SGD(params, rate, MOMENTUM),
        "adam": lambda params, rate: torch.optim.Adam(params, rate, fused=True),
        # PyTorch raises the momentum by a schedule of its own; with this decay it is constant, as elsewhere.
        "nadam": lambda params, rate: torch.optim.NAdam(params, rate, momentum_decay=1e6),
    }
    inputs, labels = _tensors(data)

    def one(name, size, rate, start, orders):
        net = _network(start)
        optimizer = makers[name](net.parameters(), rate)
        for order in torch.from_numpy(orders).long().to(DEVICE):
            for rows in batches(order, size):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(inputs[rows]), labels[rows]).backward()
                optimizer.step()
        return _layers(dict(net.named_parameters()))

    _use_faster_threads(lambda: one(*work.programs[0], work.rates[0], data.starts[0], data.orders[0][:1]))
    return lambda: one_by_one(work, data, one)


def torch_ensembles(work: Workload, data: Data) -> Callable[[], Finals]:
    """`vmap` over stacked networks, all runs of a program a step at a time, the updates written by hand."""
    inputs, labels = _tensors(data)
    starts = stack_module_state([_network(start) for start in data.starts])[0]
    places = [work.seeds.index(seed) for _, seed in work.runs]
    rates = torch.tensor([rate for rate, _ in work.runs], device=DEVICE)
    base = _network(data.starts[0]).to("meta")

    def loss(params, inputs, labels):
        return torch.nn.functional.cross_entropy(functional_call(base, params, (inputs,)), labels)

    gradients = vmap(grad(loss))
    gradients_on_same = vmap(grad(loss), in_dims=(0, None, None))

    def program(name, size, epochs=work.epochs):
        params = {key: value.detach()[places] for key, value in starts.items()}
        update = _UPDATES[name](params, rates)
        orders = torch.from_numpy(data.orders).long().to(DEVICE)[places]
        for epoch in range(epochs):
            if size == len(labels):
                update(gradients_on_same(params, inputs, labels))
                continue
            for rows in orders[:, epoch].reshape(len(places), -1, size).unbind(1):
                update(gradients(params, inputs[rows], labels[rows]))
        return _layers({key: value[0] for key, value in params.items()})

    _use_faster_threads(lambda: program(*work.programs[0], epochs=1))
    return lambda: {key: program(*key) for key in work.programs}


def scikit_learn(work: Workload, data: Data) -> Callable[[], Finals]:
    """`MLPClassifier.partial_fit`, an epoch a call, for one run after another; without NAdam, which it lacks.

    With two classes it has one output where the others have two: from parameters of 0, twice the rate then
    makes the same updates.
    """
    from sklearn.neural_network import MLPClassifier

    solvers = {"sgd": ("sgd", 0.0), "momentum": ("sgd", MOMENTUM), "adam": ("adam", MOMENTUM)}

    def one(name, size, rate, start, orders):
        solver, momentum = solvers[name]
        net = MLPClassifier(
            work.layers[1:-1],
            solver=solver,
            alpha=0,
            batch_size=size,
            learning_rate_init=1e-30,
            momentum=momentum,
            nesterovs_momentum=False,
            shuffle=False,
        )
        # The first call draws parameters and makes an update, here of almost no size; then come ours.
        net.partial_fit(data.inputs[:size], data.labels[:size], classes=np.arange(work.layers[-1]))
        for (weights, biases), own, own_biases in zip(start, net.coefs_, net.intercepts_, strict=True):
            own[...], own_biases[...] = weights[:, -own.shape[1] :], biases[-own.shape[1] :]
        _start_anew(net._optimizer, rate * (2 if net.n_outputs_ == 1 else 1))
        for order in orders:
            rows = slice(None) if size == len(order) else order
            net.partial_fit(data.inputs[rows], data.labels[rows])
        return _with_both_outputs(net.coefs_, net.intercepts_)

    return lambda: one_by_one(work, data, one, solvers)


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
torch.set_float32_matmul_precision("high")  # on a GPU with TensorFloat-32, as JAX does unless told otherwise


def _use_faster_threads(trial: Callable[[], Any]) -> None:
    """Set PyTorch to one thread or to one per core, by which the trial is faster."""
    seconds = {}
    for threads in (1, os.cpu_count() or 1):
        torch.set_num_threads(threads)
        trial()
        begun = time.perf_counter()
        trial()
        seconds[threads] = time.perf_counter() - begun
    torch.set_num_threads(min(seconds, key=seconds.__getitem__))


def _tensors(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(data.inputs).to(DEVICE), torch.from_numpy(data.labels).long().to(DEVICE)


def _network(start: list[tuple[np.ndarray, np.ndarray]]) -> torch.nn.Sequential:
    """The network, with these initial parameters."""
    parts: list[torch.nn.Module] = []
    for weights, biases in start:
        layer = torch.nn.Linear(*weights.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights.T))
            layer.bias.copy_(torch.from_numpy(biases))
        parts += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1]).to(DEVICE)


def _layers(params: dict[str, torch.Tensor]) -> list[tuple[np.ndarray, np.ndarray]]:
    """`(weights, biases)` of every layer."""
    arrays = [value.detach().cpu().numpy() for value in params.values()]
    return [(weights.T, biases) for weights, biases in zip(arrays[::2], arrays[1::2], strict=True)]


def _start_anew(optimizer: Any, rate: float) -> None:
    """Set the rate of one of scikit-learn's optimizers, and what it remembers to 0."""
    optimizer.learning_rate_init = optimizer.learning_rate = rate
    for name in {"velocities", "ms", "vs"} & vars(optimizer).keys():
        setattr(optimizer, name, [np.zeros_like(value) for value in getattr(optimizer, name)])
    optimizer.t = 0


def _with_both_outputs(coefs: list[np.ndarray], intercepts: list[np.ndarray]) -> list:
    """`(weights, biases)` of every layer, an output of 0 before a single one."""
    if coefs[-1].shape[1] == 1:
        coefs = [*coefs[:-1], np.pad(coefs[-1], ((0, 0), (1, 0)))]
        intercepts = [*intercepts[:-1], np.pad(intercepts[-1], (1, 0))]
    return list(zip(coefs, intercepts, strict=True))


def _by_rate(rates: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return rates.reshape(-1, *(1 for _ in like.shape[1:]))


def _momentum(params: dict[str, torch.Tensor], rates: torch.Tensor, decay: float = MOMENTUM) -> Callable:
    """The update in place of stacked parameters by momentum."""
    traces = {key: torch.zeros_like(value) for key, value in params.items()}
    steps = {key: _by_rate(rates, value) for key, value in params.items()}

    def update(grads: dict[str, torch.Tensor]) -> None:
        for key, value in params.items():
            direction = traces[key].mul_(decay).add_(grads[key]) if decay else grads[key]
            value.addcmul_(direction, steps[key], value=-1)

    return update


def _adam(params: dict[str, torch.Tensor], rates: torch.Tensor, nesterov: bool = False) -> Callable:
    """The update in place of stacked parameters by Adam, or by Nadam as Optax defines it."""
    first = {key: torch.zeros_like(value) for key, value in params.items()}
    second = {key: torch.zeros_like(value) for key, value in params.items()}
    steps = {key: _by_rate(rates, value) for key, value in params.items()}
    count = 0

    def update(grads: dict[str, torch.Tensor]) -> None:
        nonlocal count
        count += 1
        for key, value in params.items():
            gradient = grads[key]
            mean = first[key].mul_(BETA_1).add_(gradient, alpha=1 - BETA_1)
            square = second[key].mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
            if nesterov:
                mean = mean * (BETA_1 / (1 - BETA_1 ** (count + 1)))
                mean = mean.add_(gradient, alpha=(1 - BETA_1) / (1 - BETA_1**count))
            else:
                mean = mean / (1 - BETA_1**count)
            root = (square / (1 - BETA_2**count)).sqrt_().add_(EPSILON)
            value.sub_(mean.mul_(steps[key]).div_(root))

    return update


_UPDATES: dict[str, Any] = {
    "sgd": lambda params, rates: _momentum(params, rates, 0.0),
    "momentum": _momentum,
    "adam": _adam,
    "nadam": lambda params, rates: _adam(params, rates, nesterov=True),
}
