"""Reinforcement learning as a sweep: REINFORCE on a pole on a cart, learning rates by seeds, in one program.

The pole, the policy and the learner are all in this file. Any function that `jax.jit` can compile is swept
like this one: PureJaxRL's, a GAN, meta-learning. Needs jaxgd alone, without extras.
"""

import jax
import jax.numpy as jnp
import optax

import jaxgd

EPISODES, STEPS, UPDATES = 16, 200, 80


def moved(state, action):
    """The cart a fiftieth of a second later (Barto et al. 1983), and whether the pole stands."""
    x, speed, angle, spin = state
    force = jnp.where(action == 1, 10.0, -10.0)
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    push = (force + 0.05 * spin**2 * sine) / 1.1
    turn = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    pull = push - 0.05 * turn * cosine / 1.1
    state = jnp.stack([x + 0.02 * speed, speed + 0.02 * pull, angle + 0.02 * spin, spin + 0.02 * turn])
    return state, (jnp.abs(state[0]) < 2.4) & (jnp.abs(state[2]) < 0.2095)


def logits_of(params, states):
    return jnp.tanh(states @ params["w"]) @ params["v"]


def episode(params, key):
    """States [steps, 4], actions [steps] and whether the pole stood before each."""
    begin_key, action_key = jax.random.split(key)

    def step(carry, key):
        state, stands = carry
        action = jax.random.categorical(key, logits_of(params, state))
        after, still = moved(state, action)
        return (after, stands & still), (state, action, stands)

    begin = jax.random.uniform(begin_key, (4,), minval=-0.05, maxval=0.05), jnp.array(True)
    return jax.lax.scan(step, begin, jax.random.split(action_key, STEPS))[1]


def train(key, learning_rate, discount=0.99):
    """The mean length of episodes after each update, and the policy."""
    optimizer = optax.adam(learning_rate)
    first, second, key = jax.random.split(key, 3)
    params = {"w": jax.random.normal(first, (4, 16)) / 2, "v": jax.random.normal(second, (16, 2)) / 10}

    def loss(params, states, actions, stood, gains):
        chosen = jax.nn.log_softmax(logits_of(params, states))
        chosen = jnp.take_along_axis(chosen, actions[..., None], axis=-1)[..., 0]
        return -jnp.sum(chosen * gains * stood) / jnp.sum(stood)

    def update(carry, key):
        params, state = carry
        states, actions, stood = jax.vmap(episode, (None, 0))(params, jax.random.split(key, EPISODES))
        rewards = stood.astype(jnp.float32)
        add = lambda later, reward: (reward + discount * later,) * 2  # noqa: E731
        returns = jax.lax.scan(add, jnp.zeros(EPISODES), rewards.T, reverse=True)[1].T
        mean = jnp.mean(returns, where=stood)
        gains = (returns - mean) / (jnp.std(returns, where=stood) + 1e-6)
        grads = jax.grad(loss)(params, states, actions, rewards, gains)
        updates, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), jnp.mean(jnp.sum(rewards, axis=1))

    keys = jax.random.split(key, UPDATES)
    (params, _), lengths = jax.lax.scan(update, (params, optimizer.init(params)), keys)
    return {"return": lengths, "params": params}


def main():
    axes = {"learning_rate": [0.001, 0.01, 0.03, 0.1], "seed": [0, 1, 2, 3]}
    result = jaxgd.sweep_function(train, axes, progress=False)
    print(result.plan)
    lengths = result.dataset["return"].mean("seed")
    print(lengths.isel(epoch=[0, 19, 39, -1]).round(0).to_pandas())
    best = result.best("return")
    print(f"of {STEPS} steps at most, the pole stands {best.value:.0f} at {best.coords}")


if __name__ == "__main__":
    main()
