"""The curvature of a loss: eigenvalues, trace and spectrum of its Hessian, and sharpness along training.

Everything is computed from products of the Hessian with vectors, over a whole split in chunks, for one model
or for many at once: `params` may be stacked along leading axes (the runs of a sweep, the epochs of a path),
and every result then has these axes in front.

The loss is taken in evaluation mode, without dropout, augmentation or penalties, and so is its Hessian.
"""

from jaxgd.landscape.networks.of_sweeps import curvature_of
from jaxgd.landscape.networks.spectra import (
    Eigenvalues,
    Eigenvectors,
    Spectrum,
    Trace,
    extreme_eigenvalues,
    extreme_eigenvectors,
    sharpness,
    spectral_density,
    trace,
)
from jaxgd.landscape.networks.stability import SharpnessPath, sharpness_along, stability_limit

__all__ = [
    "Eigenvalues",
    "Eigenvectors",
    "SharpnessPath",
    "Spectrum",
    "Trace",
    "curvature_of",
    "extreme_eigenvalues",
    "extreme_eigenvectors",
    "sharpness",
    "sharpness_along",
    "spectral_density",
    "stability_limit",
    "trace",
]
