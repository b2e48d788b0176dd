"""A Ray cluster of real processes on this machine: a head without cores, and two machines of one core each."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
_SHARED = 100_000_000  # bytes of shared memory a machine: only plans and digests go through it


class Machines:
    """``kill`` is what a lost machine is like: nothing of it ends in order."""

    def __init__(self, cluster: Any, port: int, settings: dict[str, str]) -> None:
        self.cluster, self._port, self._settings = cluster, port, settings
        self.nodes: list[Any] = []
        self.add(2)

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    @property
    def client(self) -> str:
        """For those outside of the cluster."""
        return f"ray://127.0.0.1:{self._port}"

    def kill(self) -> None:
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=False)

    def add(self, count: int = 1) -> None:
        with environment(self._settings):
            self.nodes += [self.cluster.add_node(num_cpus=1, object_store_memory=_SHARED) for _ in range(count)]
        self.cluster.wait_for_nodes()


@contextmanager
def environment(given: dict[str, str]) -> Iterator[None]:
    """Of processes that start meanwhile."""
    before = {key: os.environ.get(key) for key in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


@pytest.fixture(scope="session")
def machines(settings: dict[str, str]) -> Iterator[Machines]:
    if "MODELGLOT_REQUIRE_ORACLES" not in os.environ:
        pytest.importorskip("ray", reason="the cluster")
    from ray.cluster_utils import Cluster

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    head = {"num_cpus": 0, "include_dashboard": False, "ray_client_server_port": port, "object_store_memory": _SHARED}
    with environment(settings):
        found = Machines(Cluster(initialize_head=True, head_node_args=head), port, settings)
    yield found
    found.cluster.shutdown()
