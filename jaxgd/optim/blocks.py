"""Building blocks and further optimizers of Optax, each a pytree of its arguments by `from_optax`."""

import functools
from collections.abc import Callable

import optax

from jaxgd.optim.foreign import Foreign, from_optax


def _block(factory: Callable) -> Callable[..., Foreign]:
    @functools.wraps(factory)
    def build(*args, **kwargs):
        return from_optax(factory, *args, **kwargs)

    return build


adaptive_grad_clip = _block(optax.adaptive_grad_clip)
add_decayed_weights = _block(optax.add_decayed_weights)
add_noise = _block(optax.add_noise)
centralize = _block(optax.centralize)
clip = _block(optax.clip)
clip_by_block_rms = _block(optax.clip_by_block_rms)
ema = _block(optax.ema)
identity = _block(optax.identity)
keep_params_nonnegative = _block(optax.keep_params_nonnegative)
normalize_by_update_norm = _block(optax.normalize_by_update_norm)
scale = _block(optax.scale)
scale_by_adam = _block(optax.scale_by_adam)
scale_by_learning_rate = _block(optax.scale_by_learning_rate)
scale_by_rms = _block(optax.scale_by_rms)
scale_by_schedule = _block(optax.scale_by_schedule)
scale_by_sign = _block(optax.scale_by_sign)
scale_by_trust_ratio = _block(optax.scale_by_trust_ratio)
set_to_zero = _block(optax.set_to_zero)
trace = _block(optax.trace)
zero_nans = _block(optax.zero_nans)

adabelief = _block(optax.adabelief)
adafactor = _block(optax.adafactor)
adan = _block(optax.adan)
fromage = _block(optax.fromage)
lamb = _block(optax.lamb)
lars = _block(optax.lars)
lbfgs = _block(optax.lbfgs)
lion = _block(optax.lion)
noisy_sgd = _block(optax.noisy_sgd)
novograd = _block(optax.novograd)
optimistic_adam_v2 = _block(optax.optimistic_adam_v2)
optimistic_gradient_descent = _block(optax.optimistic_gradient_descent)
polyak_sgd = _block(optax.polyak_sgd)
radam = _block(optax.radam)
rprop = _block(optax.rprop)
sign_sgd = _block(optax.sign_sgd)
signum = _block(optax.signum)
sm3 = _block(optax.sm3)
yogi = _block(optax.yogi)
