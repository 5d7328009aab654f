"""What `jaxgd --version` prints: what is installed, and the devices that JAX has here."""

import sys

from jaxgd.cli.inputs import InputError
from jaxgd.cli.jax_start import start_jax
from jaxgd.machine.host import own_version, versions


def print_about() -> None:
    """Print the versions on which numbers depend, then the devices; a JAX that cannot start says why."""
    from importlib.metadata import PackageNotFoundError

    print(f"jaxgd {own_version()}")
    try:
        print(", ".join(f"{name} {version}" for name, version in versions().items() if name != "jaxgd"))
    except PackageNotFoundError as error:
        print(f"{error.name} is not installed")
    sys.stdout.flush()  # a driver that ends the process takes nothing of this with it
    print(f"devices: {_devices()}")


def _devices() -> str:
    try:
        start_jax(cache=False)
    except InputError as error:
        return f"none: {error}"
    import jax

    from jaxgd.machine.devices import device_name

    return device_name(jax.devices())
