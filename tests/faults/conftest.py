"""Three brokers, a network, and a name server that never answers."""

import base64
import concurrent.futures
import contextlib
import os
import shutil
import socket
import subprocess
import time
import types
import uuid

import pytest

from tests.lib.env import BUILD, free_port, wait_for
from tests.lib.network import Network
from tests.lib.servers import Kafka
from tests.lib.topics import Topics


class Broker(Kafka):
    def slow(self, topic):
        """Makes the disk slow where the topic's partitions are."""
        control = self.environment["SLUICE_SLOW"]
        control.unlink(missing_ok=True)
        if topic:
            whole = control.with_suffix(".new")
            whole.write_text(f"{self.directory}/data/{topic}-")
            whole.rename(control)


def together(calls):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda call: call(), calls))


@pytest.fixture(scope="module")
def network():
    made = Network()
    try:
        yield made.make()
    finally:
        made.remove()


@pytest.fixture(scope="module")
def brokers(run_directory):
    """They idle at a fifth of a processor, so no longer than their file."""
    ports = {node: (free_port(), free_port()) for node in (1, 2, 3)}
    voters = ",".join(f"{node}@127.0.0.1:{controller}"
                      for node, (_, controller) in ports.items())
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().strip("=")
    made = []
    for node, (port, controller) in ports.items():
        made.append(Broker(run_directory / f"kafka-cluster-{node}", [
            f"node.id={node}", f"controller.quorum.voters={voters}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},"
            f"CONTROLLER://127.0.0.1:{controller}",
            "offsets.topic.replication.factor=3",
            "replica.lag.time.max.ms=2000",
            "controlled.shutdown.enable=false",
        ], port, KAFKA_CLUSTER_ID=cluster,
            LD_PRELOAD=BUILD / "test" / "slow.so",
            SLUICE_SLOW=run_directory / f"kafka-cluster-{node}.slow"))
    try:
        together([broker.start for broker in made])
        yield made
    finally:
        together([broker.stop for broker in made])
        for broker in made:
            shutil.rmtree(broker.directory, ignore_errors=True)


@pytest.fixture
def cluster(brokers):
    """All three alive; bootstrap and topics as of one broker."""
    together([broker.start for broker in brokers])
    group = types.SimpleNamespace(
        brokers=brokers, alive=lambda: True,
        bootstrap=",".join(broker.bootstrap for broker in brokers))
    group.topics = Topics(group)
    wait_for(lambda: len(group.topics.admin.list_topics(timeout=20).brokers)
             == 3, 30, "three brokers")
    yield group
    for broker in brokers:
        broker.slow(None)
        if broker.alive():
            broker.resume()
    together([broker.start for broker in brokers])
    group.topics.clean()


@pytest.fixture
def silent_resolver(directory):
    """The words that run a program whose name server never answers."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root, for a mount namespace")
    with contextlib.closing(socket.socket(socket.AF_INET,
                                          socket.SOCK_DGRAM)) as silent:
        try:
            silent.bind(("127.77.0.1", 53))
        except OSError as reason:
            pytest.skip(f"cannot be a name server: {reason}")
        resolv = directory / "resolv.conf"
        resolv.write_text("nameserver 127.77.0.1\n"
                          "options timeout:30 attempts:5\n")
        words = ["unshare", "--mount", "sh", "-c",
                 f"mount --bind {resolv} /etc/resolv.conf && exec \"$@\"",
                 "sh"]
        if subprocess.run([*words, "true"], check=False).returncode != 0:
            pytest.skip("this kernel has no mount namespace for us")
        begin = time.monotonic()
        subprocess.run([*words, "timeout", "1", "getent", "hosts",
                        "nowhere.test"], check=False)
        assert time.monotonic() - begin > 0.9, "the resolver has answered"
        yield words
