"""Every program of three hosts is replaced under load: nothing but 2xx."""

import os
import subprocess
import sys

import pytest

from tests.lib.env import LONG, ROOT


@pytest.mark.skipif(not LONG, reason="only in make faults")
def test_a_rolling_upgrade_is_not_noticed(directory):
    environment = dict(os.environ, SLUICE_CLUSTER=str(directory / "cluster"))
    command = [sys.executable, "-B", "-m", "tests.cluster"]
    try:
        done = subprocess.run(
            [*command, "roll"], cwd=ROOT, env=environment,
            stdin=subprocess.DEVNULL, timeout=1200, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False)
    finally:
        subprocess.run([*command, "down"], cwd=ROOT, env=environment,
                       check=False, timeout=60)
    if done.returncode == 2:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout
    assert "every promise was kept" in done.stdout
