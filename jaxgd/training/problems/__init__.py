"""What is minimised: losses, metrics, what a batch's examples depend on."""
