"""A network of one's own: a namespace behind a veth pair, and its faults."""

import contextlib
import os
import random
import re
import shutil
import subprocess

import pytest

from tests.lib.servers import Kafka


def run(*words, check=True, text=None, timeout=30):
    """A command to its end: what it said.  AssertionError if it fails."""
    done = subprocess.run([str(word) for word in words], input=text,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: {done.stdout}")
    return done.stdout


def ruleset(text, hooks=("input", "output")):
    """nft's rule for what comes in and goes out of a namespace; what goes
    over lo is left alone."""
    return "table inet faults {\n" + "".join(
        f"chain {hook} {{ type filter hook {hook} priority 0;\n"
        f"{hook[0]}ifname lo accept\n{text}\n}}\n" for hook in hooks) + "}\n"


class Network:
    """This side has the address near, the namespace far.  Faults lie on the
    far side, or on this side's device, and end with their block."""

    def __init__(self):
        self.name = f"sluice-{os.getpid()}"
        self.device = f"sl{os.getpid()}"
        net = random.randrange(0, 2**17, 4)     # 198.18.0.0/15: for tests
        first, second, third = 18 + (net >> 16), net >> 8 & 255, net & 255
        self.near = f"198.{first}.{second}.{third + 1}"
        self.far = f"198.{first}.{second}.{third + 2}"
        self.inside = ["ip", "netns", "exec", self.name]

    def make(self):
        """Skips the test where this machine cannot."""
        for program in ("ip", "nft", "tc", "ss"):
            if not shutil.which(program):
                pytest.skip(f"needs {program}")
        if os.geteuid() != 0:
            pytest.skip("needs root, for a network namespace")
        try:
            run("ip", "netns", "add", self.name)
            run("ip", "link", "add", self.device, "type", "veth", "peer",
                "name", "inner", "netns", self.name)
            run("ip", "addr", "add", f"{self.near}/30", "dev", self.device)
            run("ip", "link", "set", self.device, "up")
            run(*self.inside, "ip", "link", "set", "lo", "up")
            run(*self.inside, "ip", "addr", "add", f"{self.far}/30", "dev",
                "inner")
            run(*self.inside, "ip", "link", "set", "inner", "up")
        except AssertionError as reason:
            self.remove()
            pytest.skip(f"this kernel has no veth pair for us: {reason}")
        return self

    def remove(self):
        run("ip", "netns", "del", self.name, check=False)
        run("ip", "link", "del", self.device, check=False)

    @contextlib.contextmanager
    def rule(self, text, hooks=("input", "output")):
        try:
            run(*self.inside, "nft", "-f", "-", text=ruleset(text, hooks))
        except AssertionError as reason:
            pytest.skip(f"this kernel lacks a part of nftables: {reason}")
        try:
            yield
        finally:
            run(*self.inside, "nft", "delete", "table", "inet", "faults")

    @contextlib.contextmanager
    def slow(self, rate, buffer="400ms"):
        """At most rate (as tc writes it) from here to there."""
        try:
            run("tc", "qdisc", "add", "dev", self.device, "root", "tbf",
                "rate", rate, "burst", "64k", "latency", buffer)
        except AssertionError as reason:
            pytest.skip(f"this kernel has no tbf: {reason}")
        try:
            yield
        finally:
            run("tc", "qdisc", "del", "dev", self.device, "root")

    def cut(self):
        """Ends every connection to the other side; how many."""
        said = run("ss", "-K", "-t", "-n", "dst", self.far, check=False)
        if re.search("RTNETLINK|not supported", said):
            pytest.skip(f"this kernel cannot end sockets: {said}")
        return said.count("ESTAB")


class FarKafka(Kafka):
    """A broker on the other side."""

    def __init__(self, network, directory, port):
        controller = port + 1
        super().__init__(directory, [
            f"listeners=PLAINTEXT://{network.far}:{port},"
            f"CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners=PLAINTEXT://{network.far}:{port}",
            f"controller.quorum.voters=1@127.0.0.1:{controller}",
        ], port)
        self.address = network.far
        self.prefix = network.inside
