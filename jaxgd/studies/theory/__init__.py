"""What theory says of batch sizes: noisy quadratics, linear regression, interpolation, saddles."""
