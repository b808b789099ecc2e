"""Three hosts, one of which fails after the other: make cluster's tour, whole
in make faults, with the promotion alone in make check."""

import os
import subprocess
import sys

import pytest

from tests.lib.env import LONG, ROOT


def test_hosts_fail_and_every_promise_is_kept(directory):
    environment = dict(os.environ, SLUICE_CLUSTER=str(directory / "cluster"))
    command = [sys.executable, "-B", "-m", "tests.cluster"]
    try:
        done = subprocess.run(
            [*command, "tour", *([] if LONG else ["--short"])], cwd=ROOT,
            env=environment, stdin=subprocess.DEVNULL, timeout=900,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
    finally:
        subprocess.run([*command, "down"], cwd=ROOT, env=environment,
                       check=False, timeout=60)
    if done.returncode == 2:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout
    assert "lost 0, doubled 0, ghosts 0" in done.stdout
    assert "every promise was kept" in done.stdout
