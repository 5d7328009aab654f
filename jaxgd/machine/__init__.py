"""What jaxgd runs on: devices, compiled programs, JAX's switches."""
