"""Histories of the daemon against a simulated world; mutants of its rules."""

import os
import subprocess
import time

from tests.lib.env import BUILD

HISTORIES = int(os.environ.get("SLUICE_HISTORIES", "100000"))
# others every second; a seed given finds the same again
SEED = int(os.environ.get("SLUICE_SEED", str(int(time.time()) * 1000000)))
PROGRAM = BUILD / "test" / "simulate"


def simulate(seed, histories, *more):
    return subprocess.Popen([PROGRAM, "--seed", str(seed), "--histories",
                             str(histories), *more],
                            stdout=subprocess.PIPE, text=True)


def test_every_record_takes_its_effect_once(capsys):
    parts = os.cpu_count() or 1
    each = -(-HISTORIES // parts)
    running = [simulate(SEED + part * each, each) for part in range(parts)]
    said = [run.communicate(timeout=1200)[0] for run in running]
    with capsys.disabled():
        print(f"\n  {each * parts} histories from seed {SEED}")
    assert [run.returncode for run in running] == [0] * parts, "".join(said)


def test_without_any_of_the_rules_a_history_goes_wrong():
    run = subprocess.run(["make", "-s", "mutants"], capture_output=True,
                         text=True, timeout=1200)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("ok: without the rule") >= 36
