"""A sweep on the workers of a Dask cluster, here of two processes: `pip install distributed`, then run this.

On a cluster, `Client("tcp://HOST:PORT")` instead of the two lines with `LocalCluster`, and a folder that all
workers see.
"""

from distributed import Client, LocalCluster

import jaxgd


def main():
    train, valid, _ = jaxgd.datasets.load("digits")
    problem = jaxgd.classification(jaxgd.mlp([64, 32, 10]), train, valid)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        result = jaxgd.sweep(
            lambda hp: jaxgd.trainer(problem, jaxgd.adam(hp.learning_rate), hp.batch_size),
            {"batch_size": [16, 128], "learning_rate": [0.001, 0.003, 0.01], "seed": [0, 1]},
            epochs=3,
            executor=client.get_executor(),
        )
    print(result, result.best("valid_accuracy"), sep="\n")


if __name__ == "__main__":  # worker processes import this file
    main()
