"""What a budget of trials gets, which method is fastest on many workloads, and how much a rate matters."""
