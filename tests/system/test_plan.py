"""bench/plan.py: its arithmetic, what it refuses, and the guide's tables."""

import json
import subprocess
import sys

import pytest

from tests.lib.env import ROOT

sys.path.insert(0, str(ROOT / "bench"))
import plan      # noqa: E402
import report    # noqa: E402

COST = {"nginx": 7.0, "record": 0.6, "broker": 3.0, "daemon": 1.0,
        "PostgreSQL": 1.5, "bare": 4.5, "copy": 600000.0,
        "rates": {"append": 600000.0, "upsert": 400000.0, "update": 150000.0,
                  "dedupe": 200000.0},
        "body": 127, "fetch": 0.5, "kafka": 12.0, "heap": 50.0, "index": 22.0,
        "wal": 1.2, "kb": {"nginx": 3.0, "broker": 1.0, "daemon": 1.0,
                           "PostgreSQL": 2.0}}


def made(*words):
    return plan.plan(plan.read(["EVENTS=1000", "BYTES=127", *words]), COST)


def test_an_event_costs_what_was_measured():
    us = made("REPLICAS=1")["us"]
    assert us == pytest.approx({"nginx": 7, "broker": 3, "daemon": 1,
                                "PostgreSQL": 1.5})
    us = made("BYTES=1127", "GROUPS=2", "BATCH=100", "MODE=update",
              "INDEXES=2")["us"]
    assert us == pytest.approx({
        "nginx": 0.6 + 6.4 / 100 + 3, "broker": 4 * (1 + 0.5 * 3),
        "daemon": 2 * 2, "PostgreSQL":
        2 * (1.5 * 4 + 2 + plan.INDEX * 1e6 / 600000)})


def test_units():
    """A thousand events a second of a thousand bytes are 1 MB/s, of which a
    day has 86.4 GB."""
    found = made("BYTES=1000", "REPLICAS=3", "KAFKA_DAYS=1", "MEAN=1",
                 "DAYS=1", "STANDBYS=1")["roles"]
    assert found["nginx"]["CPU"] == pytest.approx(
        1000 * (7 + 3 * 0.873) / 1e6)
    assert found["nginx"]["in"] == pytest.approx(1.25e6)
    assert found["broker"]["disk"] == pytest.approx(3 * 1012 * 86400 * 1000)
    assert found["broker"]["out"] == pytest.approx(3 * 1012 * 1000)
    assert found["PostgreSQL"]["disk"] == pytest.approx(1072 * 86400 * 1000)
    assert found["PostgreSQL"]["writes"] == pytest.approx(2.2 * 1072 * 1000)
    assert found["PostgreSQL"]["out"] == pytest.approx(1.2 * 1072 * 1000)


@pytest.mark.parametrize("name, low, high", [
    ("EVENTS", 1e5, 1e6), ("GROWTH", 1, 8), ("BYTES", 200, 5000),
    ("DAYS", 10, 400), ("MEAN", 0.2, 1), ("GROUPS", 1, 3),
    ("INDEXES", 1, 6), ("REPLICAS", 3, 5), ("KAFKA_DAYS", 1, 30)])
def test_more_of_anything_needs_no_fewer_hosts(name, low, high):
    less = made("EVENTS=100000", f"{name}={low}")
    more = made("EVENTS=100000", f"{name}={high}")
    for role, hosts in less["hosts"].items():
        assert more["hosts"][role] >= hosts, role
    assert sum(more["hosts"].values()) > sum(less["hosts"].values()) \
        or name == "INDEXES"
    for what in ("partitions", "daemons", "databases", "to a broker"):
        assert more[what] >= less[what]


@pytest.mark.parametrize("name, low, high", [
    ("CORES", 2, 64), ("NETWORK", 1, 100), ("WRITES", 50, 5000),
    ("DISK", 1, 100), ("BUSY", 0.2, 1), ("FULL", 0.2, 1)])
def test_more_of_a_host_needs_no_more_hosts(name, low, high):
    small = made("EVENTS=1e6", f"{name}={low}", "DAYS=0.1", "KAFKA_DAYS=0.1")
    large = made("EVENTS=1e6", f"{name}={high}", "DAYS=0.1", "KAFKA_DAYS=0.1")
    for role, hosts in large["hosts"].items():
        assert hosts <= small["hosts"][role], role


def test_one_host_of_each_may_be_lost():
    for events in (1, 1e4, 3e5, 1e6, 1e7):
        given = plan.read([f"EVENTS={events}"])
        found = plan.plan(given, COST)
        for role in ("nginx", "broker", "daemon"):
            left = found["hosts"][role] - 1
            need = found["roles"][role]
            assert need["CPU"] <= left * given["CORES"] * given["BUSY"]
            assert need["network"] <= left * given["NETWORK"] * 125e6 \
                * given["BUSY"]
            assert need["disk"] <= left * given["DISK"] * 1e12 * given["FULL"]
        assert found["hosts"]["broker"] >= 3
        assert found["hosts"]["PostgreSQL"] == 2 * found["databases"]
        assert found["partitions"] % found["hosts"]["broker"] == 0
        assert found["partitions"] >= 2 * (found["working"] + 1)
        assert found["one"] * found["working"] * given["BUSY"] \
            >= found["peak"]


def test_lag_is_gone_after_the_outage_s_time():
    found = made("EVENTS=299999", "OUTAGE=30", "DAYS=0.1")
    assert (found["working"], found["ratio"]) == (1, pytest.approx(2, rel=0.01))
    assert found["catch up"] == pytest.approx(30, rel=0.01)
    assert made("EVENTS=599999", "BUSY=1", "DAYS=0.1")["catch up"] > 1e6


@pytest.mark.parametrize("words, said", [
    ([], "EVENTS is missing"), (["EVENTS=many"], 'EVENTS "many": say a num'),
    (["EVENTS=0"], 'EVENTS "0": say a number from 1 to'),
    (["EVENTS=nan"], 'EVENTS "nan": say a number from'),
    (["EVENTS=1", "DAYS=-3"], 'DAYS "-3": say a number from 0.01'),
    (["EVENTS=1", "REPLICAS=2.5"], 'REPLICAS "2.5": say a whole number'),
    (["EVENTS=1", "EVENT=2"], '"EVENT=2": say NAME=VALUE, with a name of EV'),
    (["EVENTS=1", "DAYS"], '"DAYS": say NAME=VALUE'),
    (["EVENTS=1", "MODE=replace"], 'MODE "replace": say one of append')])
def test_bad_input_is_told(words, said):
    done = subprocess.run(
        ["make", "-s", "plan", *words] if all("=" in word for word in words)
        else ["/usr/bin/python3", "bench/plan.py", *words], cwd=ROOT,
        capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.startswith(f"plan: {said}"), done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_results_of_a_part_make_no_plan():
    results = report.load(plan.RESULTS.read_text())
    hosts = json.loads(plan.HOSTS.read_text())
    for part in ("answers", "rows", "way"):
        with pytest.raises(plan.Wrong, match=f"no '{part}': run \"make be"):
            plan.costs({k: v for k, v in results.items() if k != part}, hosts)
    # QUICK=1 measures no other mode
    results["rows"] = {name: results["rows"][name]
                       for name in ("copy", "consumer")}
    cost = plan.costs(results, hosts)
    assert plan.lines(plan.read(["EVENTS=1"]), cost, "")
    with pytest.raises(plan.Wrong, match="MODE update: only"):
        plan.lines(plan.read(["EVENTS=1", "MODE=update"]), cost, "")


def test_all_that_is_assumed_is_printed():
    done = subprocess.run(
        ["make", "-s", "plan", "EVENTS=20000", "GROWTH=3", "MODE=upsert"],
        cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("60,000 events/s in the busiest hour")
    assumed = done.stdout[done.stdout.index("Assumed:"):]
    for name, value, *_, what in plan.KEYS:
        value = {"EVENTS": 20000, "GROWTH": 3}.get(name, value)
        assert f"\n  {name}={plan.number(value)} " in assumed
        assert what in assumed
    assert "MODE=upsert" in assumed
    for role in ("nginx", "broker", "daemon", "PostgreSQL"):
        assert f"\n{role} " in done.stdout


def test_what_is_too_much_for_one_is_named():
    def said(*words):
        given = plan.read(["BYTES=127", *words])
        return "\n".join(plan.notes(given, plan.plan(given, COST)))

    assert said("EVENTS=100", "DAYS=1").startswith("nothing")
    assert "32 TiB: partition" in said("EVENTS=200000", "DAYS=365")
    assert "one PostgreSQL is too small (disk" in said("EVENTS=100000")
    assert "share the partitions" in said("EVENTS=1e6", "DAYS=1")


def test_the_guide_has_what_follows_from_the_results():
    """If they differ: bench/plan.py --write."""
    text = plan.GUIDE.read_text("utf-8")
    assert text.count("bench/plan.py --write -->") == 4
    assert text == plan.guide(text, report.load(plan.RESULTS.read_text()),
                              json.loads(plan.HOSTS.read_text()))
