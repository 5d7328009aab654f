"""Six models as a newcomer would write them, each a Problem in at most 20 lines.

A batch-normalised convolutional network, a language model with token weights, contrastive learning, a
variational autoencoder, a Flax NNX and an Equinox model. Needs `pip install flax equinox`.
"""

import jax
import jax.numpy as jnp
import optax

import jaxgd

(IMAGES, LABELS), (VALID_IMAGES, VALID_LABELS), _ = jaxgd.datasets.load("digits")
IMAGES, LABELS, VALID_IMAGES, VALID_LABELS = IMAGES[:320], LABELS[:320], VALID_IMAGES[:80], VALID_LABELS[:80]


def batch_norm_cnn() -> jaxgd.Problem:
    """A Linen network with BatchNorm: the model has its running averages, and its examples are coupled."""
    import flax.linen as nn

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, training):
            x = nn.Conv(8, (3, 3))(x.reshape(-1, 8, 8, 1))
            x = nn.relu(nn.BatchNorm(use_running_average=not training)(x))
            return nn.Dense(10)(x.reshape(len(x), -1))

    model = jaxgd.from_linen(Net(), IMAGES[:1])
    return jaxgd.classification(model, (IMAGES, LABELS), (VALID_IMAGES, VALID_LABELS))


def language_model() -> jaxgd.Problem:
    """A bigram model of bytes; sentences differ in length, so each weighs as much as it has tokens."""
    from pydoc_data.topics import topics

    sentences = [line.strip().encode()[:40] for line in topics["compound"].splitlines() if line.strip()]
    tokens = jnp.asarray([list(sentence.ljust(40, b"\0")) for sentence in sentences[:400]])

    def loss(params, batch):
        is_token = batch[:, 1:] != 0
        logits = params[batch[:, :-1]]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch[:, 1:])
        count = jnp.sum(is_token, axis=1)
        return jnp.sum(losses * is_token, axis=1) / jnp.maximum(count, 1), count

    return jaxgd.Problem(lambda key: jnp.zeros((256, 256)), loss, tokens[:320], tokens[320:])


def contrastive() -> jaxgd.Problem:
    """SimCLR's loss on noisy views of an image: each example's loss has the whole batch in it."""
    model = jaxgd.mlp([64, 64, 16])

    def views(batch, key):
        return batch + 0.3 * jax.random.normal(key, batch.shape)

    def loss(params, batch):
        embedded = model.apply(params, batch.reshape(-1, 64))
        embedded = embedded / jnp.linalg.norm(embedded, axis=1, keepdims=True)
        one, two = embedded[0::2], embedded[1::2]
        return optax.softmax_cross_entropy_with_integer_labels(one @ two.T / 0.2, jnp.arange(len(one)))

    pairs = jnp.stack([IMAGES, IMAGES], axis=1)
    noisy = views(pairs, jax.random.key(1))[:80]
    return jaxgd.Problem(model.init, loss, pairs, noisy, coupled=True, augment=views)


def variational_autoencoder() -> jaxgd.Problem:
    """Kingma and Welling's: each example samples its code with its own key, the mean in evaluation."""
    encoder, decoder = jaxgd.mlp([64, 64, 2 * 8]), jaxgd.mlp([8, 64, 64])

    def init(key):
        return {"encoder": encoder.init(key), "decoder": decoder.init(jax.random.fold_in(key, 1))}

    def loss(params, batch, keys):
        mean, log_var = jnp.split(encoder.apply(params["encoder"], batch), 2, axis=1)
        code = mean
        if keys is not None:
            noise = jax.vmap(lambda key: jax.random.normal(key, (8,)))(keys)
            code = mean + jnp.exp(log_var / 2) * noise
        error = jnp.sum((decoder.apply(params["decoder"], code) - batch) ** 2, axis=1) / 2
        return error + jnp.sum(jnp.exp(log_var) + mean**2 - 1 - log_var, axis=1) / 2

    return jaxgd.Problem(init, loss, IMAGES, VALID_IMAGES)


def flax_nnx() -> jaxgd.Problem:
    """An NNX module with dropout."""
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.hidden, self.out = nnx.Linear(64, 64, rngs=rngs), nnx.Linear(64, 10, rngs=rngs)
            self.dropout = nnx.Dropout(0.2, rngs=rngs)

        def __call__(self, x):
            return self.out(self.dropout(nnx.relu(self.hidden(x))))

    model = jaxgd.from_nnx(lambda rngs: Net(rngs))
    return jaxgd.classification(model, (IMAGES, LABELS), (VALID_IMAGES, VALID_LABELS))


def equinox_mlp() -> jaxgd.Problem:
    """An Equinox module, written for one example."""
    import equinox as eqx

    model = jaxgd.from_equinox(lambda key: eqx.nn.MLP(64, 10, width_size=64, depth=1, key=key))
    return jaxgd.classification(model, (IMAGES, LABELS), (VALID_IMAGES, VALID_LABELS))


PROBLEMS = [batch_norm_cnn, language_model, contrastive, variational_autoencoder, flax_nnx, equinox_mlp]

if __name__ == "__main__":
    for make in PROBLEMS:
        trainer = jaxgd.trainer(make(), jaxgd.adam(3e-3), batch_size=32)
        losses = jaxgd.fit(trainer, jax.random.key(0), epochs=8).history["valid_loss"]
        print(f"{make.__name__:24} validation loss {losses[0]:8.4f} -> {losses[-1]:8.4f}")
