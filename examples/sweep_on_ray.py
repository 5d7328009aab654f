"""A sweep on the workers of Ray, by an adapter of twenty lines: `pip install ray`, then run this."""

import ray

import jaxgd


class RayFuture:
    """What a worker of Ray will have given."""

    def __init__(self, reference):
        self.reference = reference

    def result(self):
        """What the call has given; raises what it has raised."""
        return ray.get(self.reference)

    def done(self):
        """Whether it has ended."""
        return bool(ray.wait([self.reference], timeout=0)[0])

    def cancel(self):
        """Do not begin it."""
        ray.cancel(self.reference)


class RayExecutor:
    """Ray's workers as `jaxgd.sweep` asks them."""

    def submit(self, function, *arguments):
        """Have a worker call a function."""
        return RayFuture(ray.remote(function).remote(*arguments))


ray.init(include_dashboard=False)
problem = jaxgd.classification(jaxgd.linear(64, 10), *jaxgd.datasets.load("digits"))
axes = {"learning_rate": [0.01, 0.1, 1.0], "seed": [0, 1, 2]}
result = jaxgd.sweep(
    lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), 32), axes, 5, executor=RayExecutor()
)
print(result, result.best("valid_accuracy"), sep="\n")
