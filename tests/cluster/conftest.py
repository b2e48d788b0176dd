"""A Ray cluster of real processes on this machine: a head without cores, and two machines of one core each."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


class Machines:
    """``kill`` is what a lost machine is like: nothing of it ends in order."""

    def __init__(self, cluster: Any, port: int) -> None:
        self.cluster, self._port = cluster, port
        self.nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    @property
    def client(self) -> str:
        """For those outside of the cluster."""
        return f"ray://127.0.0.1:{self._port}"

    def kill(self) -> None:
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=False)

    def add(self) -> None:
        self.nodes.append(self.cluster.add_node(num_cpus=1))
        self.cluster.wait_for_nodes()


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """The endpoint of an S3 server with a bucket `models`, in the environment of everything that starts after it."""
    if "MODELGLOT_REQUIRE_ORACLES" not in os.environ:
        pytest.importorskip("moto", reason="an S3 server")
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    given = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key",
             "AWS_SECRET_ACCESS_KEY": "secret-key", "AWS_REGION": "us-east-1"}  # fmt: skip
    before = {key: os.environ.get(key) for key in given}
    os.environ.update(given)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="models")
    yield given["AWS_ENDPOINT_URL"]
    server.stop()
    for key, value in before.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})


@pytest.fixture(scope="session")
def machines(store: str) -> Iterator[Machines]:
    if "MODELGLOT_REQUIRE_ORACLES" not in os.environ:
        pytest.importorskip("ray", reason="the cluster")
    from ray.cluster_utils import Cluster

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    head = {"num_cpus": 0, "include_dashboard": False, "ray_client_server_port": port}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    found = Machines(cluster, port)
    cluster.wait_for_nodes()
    yield found
    cluster.shutdown()
