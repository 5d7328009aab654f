"""Models: networks, adapters of other libraries, precision, dropping."""

from jaxgd.training.models.model import ACTIVATIONS, INITIALIZERS

__all__ = ["ACTIVATIONS", "INITIALIZERS"]
