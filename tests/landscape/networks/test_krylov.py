import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgd.landscape.networks.krylov import ritz, tridiagonalize

DIM = 12


def symmetric(eigenvalues, seed=0):
    orthogonal = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))[0]
    return orthogonal * eigenvalues @ orthogonal.T, orthogonal


def lanczos(matrix, start, steps):
    matrix = jnp.asarray(matrix)
    form = jax.jit(lambda v: tridiagonalize(lambda x: matrix @ x, v, steps))(jnp.asarray(start, matrix.dtype))
    np.testing.assert_allclose(form.basis @ form.basis.T, np.eye(steps), atol=50 * np.finfo(matrix.dtype).eps)
    return ritz(form)


def test_all_steps_give_all_eigenvalues(x64):
    eigenvalues = np.linspace(-3, 8, DIM)
    found = lanczos(symmetric(eigenvalues)[0], np.random.default_rng(1).normal(size=DIM), DIM)
    np.testing.assert_allclose(found.values, eigenvalues, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_quadrature_is_exact_to_twice_the_steps(x64, steps):
    eigenvalues = np.random.default_rng(2).normal(size=DIM)
    matrix, _ = symmetric(eigenvalues)
    start = np.random.default_rng(1).normal(size=DIM)
    found = lanczos(matrix, start, steps)
    start = start / np.linalg.norm(start)
    for power in range(2 * steps):
        expected = start @ np.linalg.matrix_power(matrix, power) @ start
        np.testing.assert_allclose(found.weights @ found.values**power, expected, rtol=1e-10, atol=1e-12)
    beyond = start @ np.linalg.matrix_power(matrix, 2 * steps) @ start
    assert abs(found.weights @ found.values ** (2 * steps) - beyond) > 1e-6


def test_an_eigenvalue_lies_within_the_residual_of_each_value(x64):
    eigenvalues = np.random.default_rng(2).normal(size=40)
    found = lanczos(symmetric(eigenvalues)[0], np.random.default_rng(1).normal(size=40), 10)
    distance = np.abs(eigenvalues[:, None] - np.asarray(found.values)).min(axis=0)
    assert (distance <= np.asarray(found.residuals) + 1e-12).all()
    assert (np.asarray(found.residuals) < 3).all()
    errors = [
        np.linalg.norm(symmetric(eigenvalues)[0] @ v - value * v)
        for value, v in zip(found.values, found.vectors, strict=True)
    ]
    np.testing.assert_allclose(found.residuals, errors, atol=1e-12)


def test_a_zero_matrix_has_eigenvalues_of_zero():
    found = lanczos(np.zeros((DIM, DIM), np.float32), np.ones(DIM), 7)
    np.testing.assert_array_equal(found.values, 0)
    np.testing.assert_array_equal(found.residuals, 0)
    np.testing.assert_allclose(found.weights.sum(), 1, rtol=1e-6)


def test_it_goes_on_from_an_eigenvector(x64):
    eigenvalues = np.linspace(-3, 8, DIM)
    matrix, vectors = symmetric(eigenvalues)
    found = lanczos(matrix, vectors[:, 4], DIM)
    np.testing.assert_allclose(found.values, eigenvalues, atol=1e-12)
    weights = np.asarray(found.weights)
    np.testing.assert_allclose([weights.max(), weights.sum()], 1, rtol=1e-12)  # all of it on its own value


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rank", [1, 3, DIM])
def test_equal_eigenvalues_are_found_as_often_as_they_are_there(x64, rank, dtype):
    eigenvalues = np.r_[np.zeros(DIM - rank), np.full(rank, 2.0)]
    matrix = symmetric(eigenvalues)[0].astype(dtype)
    found = lanczos(matrix, np.random.default_rng(1).normal(size=DIM), DIM)
    np.testing.assert_allclose(found.values, eigenvalues, atol=100 * np.finfo(dtype).eps)


def test_a_start_of_zeros_stands_for_an_axis():
    found = lanczos(np.diag(np.arange(1.0, 5.0)).astype(np.float32), np.zeros(4), 4)
    np.testing.assert_allclose(found.values, [1, 2, 3, 4], rtol=1e-6)


def test_the_basis_stays_orthonormal_where_rounding_would_lose_it():
    # One huge eigenvalue is found at once; without reorthogonalisation it comes back as ghosts.
    matrix, _ = symmetric(np.r_[np.geomspace(1e-3, 1, 149), 1e4])
    found = lanczos(matrix.astype(np.float32), np.random.default_rng(1).normal(size=150), 100)
    assert (np.asarray(found.values) > 10).sum() == 1
