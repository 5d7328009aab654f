"""Losses whose examples depend on each other are found, and no honest loss is refused."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxgd
from jaxgd.training.fitting import drawn_params
from jaxgd.training.problems import coupling
from jaxgd.training.problems.coupling import check_coupling

# Losses as people write them, with Optax, Flax and Equinox.
pytestmark = pytest.mark.usefixtures("promoting")

RNG = np.random.default_rng(0)
N, D, H, K = 40, 6, 8, 3
X = RNG.normal(size=(N, D)).astype(np.float32)
LABELS = RNG.integers(0, K, size=N)
TARGETS = X[:, 0] + 0.1 * RNG.normal(size=N).astype(np.float32)
TOKENS = RNG.integers(0, 7, size=(N, 5))
IMAGES = RNG.normal(size=(N, 8, 8, 1)).astype(np.float32)
TIMES, EVENTS = RNG.exponential(size=N).astype(np.float32), (RNG.uniform(size=N) < 0.6).astype(np.float32)


def normal(*shape):
    return (RNG.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)


def head(features, labels):
    return optax.softmax_cross_entropy_with_integer_labels(features, labels)


def net(p, x):
    return jnp.tanh(x @ p["w"]) @ p["v"]


P = {"w": normal(D, H), "v": normal(H, K)}
ROW = {"w": normal(D, H), "v": normal(H, 1)}
ZEROS = jax.tree.map(np.zeros_like, P)


def linen(module, x):
    params = jax.jit(module.init)(jax.random.key(0), x[:1])["params"]
    return params, lambda p, b: head(module.apply({"params": p}, b[0]), b[1])


def by_linen(build, x=X):
    return lambda: (*linen(build(), x), (x, LABELS))


def by_model(build, x=X, make=jaxgd.classification):
    def problem():
        model = build()
        made = make(model.replace(coupled=None), (x, LABELS if make is jaxgd.classification else TARGETS))
        return drawn_params(made.init, jax.random.key(0)), made.loss, made.train

    return problem


def plain(params, loss, data=(X, LABELS)):
    return lambda: (params, loss, data)


def dropped(p, b, keys):
    def one(x, y, key):
        h = jnp.tanh(x @ p["w"])
        kept = h if keys is None else jnp.where(jax.random.bernoulli(key, 0.5, h.shape), 2 * h, 0)
        return head(kept @ p["v"], y)

    return jax.vmap(one)(b[0], b[1], keys)


def attention(p, b):
    x = b[0][..., None] * p["w"][0]
    scores = jax.nn.softmax(jnp.einsum("bld,bmd->blm", x, x), axis=-1)
    return head((scores @ x).mean(axis=1) @ p["v"], b[1])


def group_norm(p, b):
    h = (b[0] @ p["w"]).reshape(len(b[0]), 2, -1)
    h = (h - h.mean(-1, keepdims=True)) / jnp.sqrt(h.var(-1, keepdims=True) + 1e-5)
    return head(h.reshape(len(b[0]), -1) @ p["v"], b[1])


def experts(p, b, hard):
    gates = jax.nn.softmax(b[0] @ p["gate"])
    if hard:
        gates = gates * jax.nn.one_hot(jnp.argmax(gates, axis=1), gates.shape[1])
    return head(jnp.einsum("be,bd,edk->bk", gates, b[0], p["experts"]), b[1])


EXPERTS = {"gate": normal(D, 4), "experts": RNG.normal(size=(4, D, K)).astype(np.float32)}


def narrow(dtype):
    def loss(p, b):
        cast = lambda x: x.astype(dtype)  # noqa: E731
        return head(net(jax.tree.map(cast, p), cast(b[0])).astype(jnp.float32), b[1])

    return loss


def narrow_all(p, b):
    return jnp.square(net(p, b[0].astype(jnp.bfloat16))[:, 0] - b[1].astype(jnp.bfloat16))


def recurrent(p, b):
    def step(h, x):
        return jnp.tanh(h + x[:, None] * p["w"][0]), None

    return head(jax.lax.scan(step, jnp.zeros((len(b[0]), H)), b[0].T)[0] @ p["v"], b[1])


def vae(p, b, keys):
    code = b[0] @ p["w"]
    noise = 0 if keys is None else jax.vmap(lambda key: jax.random.normal(key, (H,)))(keys)
    return jnp.square((code + 0.1 * noise) @ p["w"].T - b[0]).sum(axis=1)


def ranking(p, b):
    scores = b[0] * p["w"][:, 0]
    order = jnp.argsort(scores, axis=1)
    return jnp.sum(jnp.take_along_axis(scores, order, axis=1) * jnp.arange(D), axis=1)


def token_weights(p, b):
    is_token = b != 0
    losses = head(p[b[:, :-1]], b[:, 1:]) * is_token[:, 1:]
    count = is_token[:, 1:].sum(axis=1)
    return losses.sum(axis=1) / jnp.maximum(count, 1), count


def gradient_penalty(p, b):
    slope = jax.vmap(jax.grad(lambda x: net(p, x)[0]))(b[0])
    return head(net(p, b[0]), b[1]) + jnp.square(jnp.linalg.norm(slope, axis=1) - 1)


def implicit(p, b):
    matrix = jnp.eye(D) + p["w"] @ p["w"].T
    return jnp.square(jnp.linalg.solve(matrix, b[0].T).T[:, 0] - b[1])


def one_by_one(p, b):
    return jax.lax.map(lambda xy: head(net(p, xy[0]), xy[1]), b)


def pinball(p, b):
    error = b[1][:, None] - net(p, b[0])
    return jnp.maximum(error * jnp.array([0.1, 0.5, 0.9]), -error * jnp.array([0.9, 0.5, 0.1])).sum(axis=1)


def mixture(p, b):
    means, logits = p["means"], jax.nn.log_softmax(p["logits"])
    densities = -0.5 * jnp.square(b[0][:, None] - means).sum(-1)
    return -jax.scipy.special.logsumexp(logits + densities, axis=1)


def with_augmentation(p, b, keys):
    shift = 0 if keys is None else jax.vmap(jax.random.uniform)(keys)[:, None]
    return head(net(p, b[0] + 0.1 * shift), b[1])


def counting(p, b, model_state):
    return head(net(p, b[0]), b[1]), model_state + len(b[0])


def positions_within(p, b):
    return head((b[0] * jnp.arange(D)) @ p["w"] @ p["v"], b[1])


def fixed_size(p, b):
    return head(net(p, b[0].reshape(20, D)), b[1])


def quantized(p, b):
    h = jnp.round(4 * jnp.tanh(b[0] @ p["w"])) / 4
    return head(h @ p["v"], b[1])


def pairs(p, b):
    apart = jnp.linalg.norm(net(p, b[0]) - net(p, b[0][:, ::-1]), axis=1)
    return jnp.where(b[1] > 0, apart**2, jnp.maximum(0, 1 - apart) ** 2)


class LinenAttention(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4)(x[..., None])
        return nn.Dense(K)(nn.MultiHeadDotProductAttention(num_heads=2)(x).mean(axis=1))


class LinenGroupNorm(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(K)(nn.GroupNorm(num_groups=2)(nn.Conv(4, (3, 3))(x)).reshape(len(x), -1))


class LinenLstm(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(K)(nn.RNN(nn.LSTMCell(4))(x[..., None])[:, -1])


class NnxLayerNorm(nnx.Module):
    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(D, H, rngs=rngs), nnx.Linear(H, K, rngs=rngs)
        self.norm, self.dropout = nnx.LayerNorm(H, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(self.norm(self.first(x))))


HONEST = {
    "linear": by_model(lambda: jaxgd.linear(D, K)),
    "linear regression": by_model(lambda: jaxgd.linear(D), make=jaxgd.regression),
    "mlp": by_model(lambda: jaxgd.mlp([D, H, K])),
    "mlp of zeros": by_model(lambda: jaxgd.mlp([D, H, K], init="zeros")),
    "deep mlp": by_model(lambda: jaxgd.mlp([D, *[H] * 8, K], activation="tanh")),
    "dropout": by_model(lambda: jaxgd.mlp([D, H, K], dropout=0.5)),
    "drop connect": by_model(lambda: jaxgd.mlp([D, H, K], drop_connect=0.5)),
    "drop connect by batch": by_model(lambda: jaxgd.drop_connect(jaxgd.mlp([D, H, K]), 0.5, per="batch")),
    "mixed precision": by_model(lambda: jaxgd.mixed_precision(jaxgd.mlp([D, H, K]))),
    "conv": by_model(lambda: jaxgd.conv_net((8, 8), K, channels=(4,)), IMAGES),
    "transformer": lambda: transformer(),
    "own dropout": plain(P, dropped),
    "attention": plain(P, attention),
    "group norm": plain(P, group_norm),
    "soft experts": plain(EXPERTS, lambda p, b: experts(p, b, False)),
    "hard experts": plain(EXPERTS, lambda p, b: experts(p, b, True)),
    "bfloat16": plain(P, narrow(jnp.bfloat16)),
    "float16": plain(P, narrow(jnp.float16)),
    "all in bfloat16": plain(jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), ROW), narrow_all,
                             (X, TARGETS)),
    "recurrent": plain(P, recurrent),
    "autoencoder": plain(P, vae),
    "ranking within": plain(P, ranking),
    "token weights": plain(normal(7, 7), token_weights, TOKENS),
    "example weights": plain(P, lambda p, b: (head(net(p, b[0]), b[1]), 1.0 + b[1])),
    "zero weights": plain(P, lambda p, b: (head(net(p, b[0]), b[1]), jnp.where(b[1] == 0, 0.0, 1.0))),
    "gradient penalty": plain(P, gradient_penalty),
    "linear solve": plain(P, implicit, (X, TARGETS)),
    "one by one": plain(P, one_by_one),
    "quantiles": plain(P, pinball, (X, TARGETS)),
    "mixture": plain({"means": normal(4, D), "logits": np.zeros(4, np.float32)}, mixture),
    "augmentation by key": plain(P, with_augmentation),
    "positions within": plain(P, positions_within),
    "quantized": plain(P, quantized),
    "pairs within": plain(P, pairs),
    "hinge": plain(ROW, lambda p, b: jnp.maximum(0, 1 - (2.0 * (b[1] > 0) - 1) * net(p, b[0])[:, 0])),
    "poisson": plain(ROW, lambda p, b: jnp.exp(net(p, b[0])[:, 0]) - b[1] * net(p, b[0])[:, 0]),
    "infinite for some": plain(P, lambda p, b: jnp.where(b[1] == 0, jnp.inf, head(net(p, b[0]), b[1]))),
    "nan where moved": plain({"s": np.float32(1)},
                             lambda p, b: jnp.where(p["s"] == 1, b[0][:, 0] ** 2, jnp.nan)),
    "large numbers": plain(P, lambda p, b: 1e37 * head(net(p, b[0]), b[1])),
    "linen attention": by_linen(LinenAttention),
    "linen group norm": by_linen(LinenGroupNorm, IMAGES),
    "linen lstm": by_linen(LinenLstm),
    "nnx layer norm, dropout": by_model(lambda: jaxgd.from_nnx(NnxLayerNorm)),
    "equinox": by_model(lambda: jaxgd.from_equinox(lambda key: eqx.nn.MLP(D, K, H, 1, key=key))),
}  # fmt: skip


def transformer():
    model = jaxgd.char_transformer(7, 5, width=8, num_blocks=1, num_heads=2).replace(coupled=None)
    problem = jaxgd.classification(model, (TOKENS, TOKENS))
    return drawn_params(problem.init, jax.random.key(0)), problem.loss, problem.train


def cox(p, b):
    x, times, events = b
    risk = x @ p
    in_set = times[None, :] >= times[:, None]
    return events * (jax.scipy.special.logsumexp(jnp.where(in_set, risk[None, :], -jnp.inf), axis=1) - risk)


def batch_norm(p, b):
    h = b[0] @ p["w"]
    h = (h - h.mean(axis=0)) / jnp.sqrt(h.var(axis=0) + 1e-5)
    return head(h @ p["v"], b[1])


def contrastive(p, b):
    one, two = net(p, b[0]), net(p, b[0][:, ::-1])
    return head(one @ two.T, jnp.arange(len(one)))


def with_capacity(p, b):
    chosen = jax.nn.one_hot(jnp.argmax(b[0] @ p["gate"], axis=1), 4)
    has_room = jnp.cumsum(chosen, axis=0) <= len(b[0]) / 4
    return head(jnp.einsum("be,bd,edk->bk", chosen * has_room, b[0], p["experts"]), b[1])


def without_copies(p, b):
    is_copy = jnp.tril(jnp.all(b[0][:, None] == b[0][None], axis=-1), -1).any(axis=1)
    return jnp.where(is_copy, 0.0, head(net(p, b[0]), b[1]))


def batch_statistics(p, b, model_state):
    mean = b[0].mean(axis=0)
    return head(net(p, b[0] - mean), b[1]), 0.9 * model_state + 0.1 * mean


def error(p, b):
    return jnp.square(b[0] @ p - b[1])


LINEAR = np.zeros(D, np.float32)
COUPLED = {
    "batch mean": plain(LINEAR, lambda p, b: jnp.square(b[0] @ p - (b[0] @ p).mean() - b[1]), (X, TARGETS)),
    "batch norm": plain(P, batch_norm),
    "batch norm, last layer of zeros": plain({**P, "v": np.zeros((H, K), np.float32)}, batch_norm),
    "batch norm of zeros": plain(ZEROS, batch_norm),
    "contrastive": plain(P, contrastive),
    "risk set": plain(LINEAR, cox, (X, TIMES, EVENTS)),
    "softmax over the batch": plain(LINEAR, lambda p, b: -jax.nn.log_softmax(b[0] @ p) * b[1], (X, EVENTS)),
    "roll": plain(LINEAR, lambda p, b: jnp.square(b[0] @ p - jnp.roll(b[0] @ p, 1)), (X, TARGETS)),
    "cumulative sum": plain(LINEAR, lambda p, b: jnp.square(jnp.cumsum(b[0] @ p) - b[1]), (X, TARGETS)),
    "maximum": plain(LINEAR, lambda p, b: error(p, b) / error(p, b).max(), (X, TARGETS)),
    "copies": plain(P, without_copies),
    "weights by place": plain(P, lambda p, b: (head(net(p, b[0]), b[1]), jnp.arange(len(b[1])))),
    "weights by count of class": plain(
        P, lambda p, b: (head(net(p, b[0]), b[1]), 1 / jnp.sum(b[1][:, None] == b[1], axis=1))
    ),
    "capacity": plain(EXPERTS, with_capacity),
    "batch statistics": plain(P, batch_statistics),
    "bfloat16 batch norm": plain(
        P, lambda p, b: batch_norm(jax.tree.map(lambda x: x.astype(jnp.bfloat16), p), b)
    ),
    "at its own size": plain(P, lambda p, b: head(net(p, b[0].reshape(20, D) - b[0].mean(axis=0)), b[1])),
}


def checked(build, **options):
    params, loss, data = build()
    names = getattr(loss, "__code__", None)
    if names and "model_state" in names.co_varnames[: names.co_argcount]:
        options["model_state"] = jnp.zeros(D) if loss is batch_statistics else jnp.zeros(())
    problem = jaxgd.Problem(lambda key: params, loss, data, **options)
    coupling._KNOWN.clear()
    check_coupling(problem, params, 20)


HONEST_OF_STATE_OR_SIZE = {"counting": plain(P, counting), "made for one size": plain(P, fixed_size)}
# Those of whole networks take longer.
NETWORKS = {name for name, build in HONEST.items() if not build.__qualname__.startswith("plain")}


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(build, id=name, marks=[pytest.mark.slow] if name in NETWORKS else [])
        for name, build in (HONEST | HONEST_OF_STATE_OR_SIZE).items()
    ],
)
def test_honest_losses_pass(build, monkeypatch):
    compared = []
    before = coupling._compare
    monkeypatch.setattr(coupling, "_compare", lambda *given: compared.append(before(*given)) or compared[-1])
    checked(build)
    assert compared[-1], "the losses could not be compared"


MESSAGE = r"^loss of example \d+ changes when other examples do: Problem\(\.\.\., coupled=True\)"


@pytest.mark.parametrize("build", COUPLED.values(), ids=COUPLED)
def test_coupled_losses_are_refused(build):
    with pytest.raises(ValueError, match=MESSAGE):
        checked(build)
    checked(build, coupled=True)
    checked(build, coupled=False)
