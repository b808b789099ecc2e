"""What the benchmark makes of its figures, and that it ends in time."""

import copy
import json
import runpy
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest

from tests.lib.env import ROOT

sys.path.insert(0, str(ROOT / "bench"))
import peers      # noqa: E402
import plot       # noqa: E402
import report     # noqa: E402
import rows       # noqa: E402
import servers    # noqa: E402


def load(rate, cpu_us=10.0, p50_us=1000):
    """A run as wrk() gives it."""
    return {"requests": 1000, "seconds": 1.0, "rate": rate, "cpu_us": cpu_us,
            "p50_us": p50_us, "p99_us": 2 * p50_us, "socket_errors": 0,
            "status_errors": 0, "pending": 0,
            "percentiles_us": [[50, p50_us], [99, 2 * p50_us]]}


def results():
    """All that a whole run may measure, with keys as they are written."""
    numbers = (1, 16, 64, 256, 400, 1000, 10000)
    answers = {name: {n: [load(rate, cpu)] for n in numbers}
               for name, rate, cpu in (("bare", 100000.0, 6.0),
                                       ("queued", 95000.0, 8.0),
                                       ("delivered", 70000.0, 8.4))}
    answers.update({
        "now": {n: [load(4000.0 * n)] for n in (1, 16)},
        "trip": {1: [{"trips": 9, "p50_us": 1000.0, "p99_us": 2000.0}]},
        "keyed": {256: [load(60000.0)]},
        "express": {256: [load(3500.0)], 400: [load(3500.0)]},
        "go": {256: [load(35000.0)]}, "rust": {256: [load(40000.0)]},
        "batch": {16: [load(1200.0)]},
        "bare-batch": {0: [{"records": 9, "rate": 2000000.0}]},
        "memory-waiting": {10000: [{"rss_kb": 100000}]},
        "memory-delivered": {10000: [{"rss_kb": 120000}]}})
    rows = {name: [{"rate": rate}] for name, rate in (
        ("copy", 600000.0), ("consumer", 580000.0), ("two daemons", 640000.0),
        ("copy types", 700000.0), ("types", 680000.0), ("upsert", 400000.0),
        ("update", 310000.0), ("update room", 320000.0),
        ("dedupe", 320000.0), ("dedupe more", 310000.0),
        ("connect", 80000.0), ("pgx", 300000.0))}
    backlogs = [[count, {"rate": 500000.0, "cpu_us": 0.7, "rss_mb": 50.0}]
                for count in (100000, 1000000)]
    backlogs[-1][1]["idle_percent"] = 0.4
    waits = {name: {n: [load(1000.0, p50_us=p50)] for n in (1, 256)}
             for name, p50 in (("delivered", 500), ("stored_0", 3000),
                               ("stored_5", 12000), ("stored_20", 25000))}
    return json.loads(json.dumps({
        "about": ["command: `make bench`"], "machine": "2 cores",
        "failed": [], "count": 1000000, "answers": answers, "rows": rows,
        "sizes": [[100, 90000.0], [50000, 590000.0]], "backlogs": backlogs,
        "way": {**load(60000.0), "bare_rate": 100000.0, "bare_cpu_us": 6.0,
                "cpu_us": {"nginx's worker": 9.0, "broker": 3.0,
                           "daemon": 0.9, "PostgreSQL": 1.5},
                "lag_s": 0.06, "lag_records": 800, "rows": 1000,
                "once": True, "consumer_rss_mb": 22.0},
        "stack": {"bare": [load(110000.0)], "stack": [load(60000.0)]},
        "late": {"percentiles_ms": [[50, 14.0], [99, 30.0]], "p50_ms": 14.0,
                 "p99_ms": 30.0, "rate": 1000, "cpu_percent": 5.0},
        "stored": {"waits": waits, "waiting_kb": 0.3,
                   "cost": {"on": [load(10.0)], "off": [load(10.0)]},
                   "rows": {"on": [load(10.0)], "off": [load(10.0)]}}}))


@pytest.fixture
def data():
    return report.load(json.dumps(results()))


def names(found):
    return {(goal[0], goal[1]) for goal, _ in report.measured(found)}


def test_every_goal_is_measured_by_a_whole_run(data):
    assert names(data) == {goal[:2] for goal in report.GOALS}
    text = report.markdown(data)
    assert "Not measured" not in text and "nan" not in text
    for heading in ("Requests", "Rows", "The whole way", "Until it is a row"):
        assert f"\n## {heading}\n" in text
    assert report.SHOWN <= {goal[1] for goal in report.GOALS}
    readme = (ROOT / "README.md").read_text()
    again = report.readme(readme, data)
    assert "| delivered (acks=all), of bare nginx, 256 connections | 0.70 |" \
        in again
    assert again.count("\n") >= readme.count("\n") - 20


# what one machine cannot build or start leaves the others' lines as they are
@pytest.mark.parametrize("part, name, said", [
    ("answers", "express", "Express"), ("answers", "go", "Go, net/http"),
    ("answers", "rust", "Rust"), ("rows", "connect", "Kafka Connect"),
    ("rows", "pgx", "pgx"), ("rows", "copy", "psql"),
    ("rows", "consumer", "sluice-consumer")])
def test_results_are_whole_without(data, part, name, said):
    whole = report.markdown(data).splitlines()
    goals = names(data)
    del data[part][name]
    text = report.markdown(data)
    missing = [line for line in text.splitlines()
               if line.startswith("Not measured: ")]
    assert len(missing) == 1 and said in missing[0]
    assert {line for line in whole if line.startswith("#")} \
        == {line for line in text.splitlines() if line.startswith("#")}
    assert names(data) < goals
    if name not in ("copy", "consumer"):
        assert {goal[1].split("_")[0] for goal in goals - names(data)} \
            == {name}
    assert report.plots(data)


@pytest.mark.parametrize("part", ["answers", "rows", "backlogs", "sizes",
                                  "way", "stack", "late", "stored"])
def test_results_are_whole_without_the_part(data, part):
    del data[part]
    data["failed"].append(f"{part}: why")
    assert f"Not measured: {part}: why" in report.markdown(data)
    assert report.plots(data) and report.shown(data)


def test_a_quick_run_has_what_the_readme_shows(data):
    """bench/run's QUICK: fewer connections and modes, no cost of receipts."""
    for name, by in data["answers"].items():
        data["answers"][name] = {n: runs for n, runs in by.items()
                                 if n in (0, 16, 64, 256, 1000)}
    for name in ("trip", "memory-waiting", "memory-delivered"):
        del data["answers"][name]
    data["rows"] = {name: data["rows"][name]
                    for name in ("copy", "consumer", "connect", "pgx")}
    data["backlogs"] = [[1000000, {"rate": 5e5, "cpu_us": 0.7, "rss_mb": 50.0}]]
    data["stored"] = {"waits": {name: {1: by[1]} for name, by
                                in data["stored"]["waits"].items()}}
    del data["sizes"]
    assert {name for _, name in names(data)} >= report.SHOWN
    assert len(report.shown(data)) == 2 + len(report.SHOWN)
    assert report.markdown(data) and report.plots(data)


def test_nothing_is_worse_than_itself_or_within_the_tolerance(data):
    assert report.slower(data, data, 0.10) == []
    now = copy.deepcopy(data)
    for runs in now["answers"]["delivered"].values():
        runs[0]["rate"] *= 0.92
    assert report.slower(now, data, 0.10) == []
    assert report.comparison(now, data, 0.10) == [
        "Worse than the last result (command: `make bench`) by more than "
        "10 %: nothing"]


def test_what_is_worse_is_told_the_worst_first(data):
    now = copy.deepcopy(data)
    now["answers"]["delivered"][256][0]["rate"] *= 0.8
    now["late"]["p99_ms"] *= 2
    # a faster machine, the same ratio
    for run in now["stack"].values():
        run[0]["rate"] *= 4
    lines = report.slower(now, data, 0.10)
    assert [line.split(":")[0] for line in lines[:1]] == [
        "event to row at 1,000 events/s, p99, of `batch.linger` (20 ms)"]
    assert "delivered (acks=all), of bare nginx, 256 connections: 0.56, was " \
        "0.70, 0.80 of it" in lines
    assert not any("make up" in line for line in lines)
    assert report.slower(data, now, 0.10) == []


def test_errors_beside_none_are_worse(data):
    now = copy.deepcopy(data)
    now["answers"]["delivered"][64][0]["status_errors"] = 1
    assert report.slower(now, data, 0.25) == [
        "errors of delivered and queued: 1, was 0"]


def test_what_only_one_run_has_is_not_compared(data):
    now = copy.deepcopy(data)
    del now["answers"]["go"], data["rows"]["pgx"]
    assert report.slower(now, data, 0.10) == []
    assert report.slower(now, {}, 0.10) == []
    assert "no command" in report.comparison(now, {}, 0.10)[0]


def test_the_last_results_can_be_compared_with():
    last = report.load((ROOT / "bench/results/results.json").read_text())
    assert len(names(last)) > 10
    assert report.slower(last, last, 0.10) == []


def test_plots_are_pictures(data):
    made = report.plots(data)
    assert set(made) == set(report.TITLES)
    for svg in made.values():
        ElementTree.fromstring(svg)


def test_bars_are_as_long_as_their_values():
    tree = ElementTree.fromstring(plot.bars(
        "a < b", [("one", 10), ("half", 5), ("none", 0)], ["10", "5", "0"]))
    lengths = [float(rect.get("width")) for rect
               in tree.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert lengths[1] == pytest.approx(lengths[0] / 2, abs=0.1)
    assert lengths[2] == 1
    assert float(tree.get("height")) > 100


def test_cpu_of_a_tree_has_the_children_that_ended():
    burn = "import time\nwhile time.process_time() < 1: pass"
    parent = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys\n"
         f"subprocess.run([sys.executable, '-c', '''{burn}'''])\n"
         "print('ended', flush=True)\nsys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout.readline() == "ended\n"
        assert servers.tree_cpu_seconds(parent.pid) > 0.9
        assert servers.cpu_seconds(parent.pid) < 0.9
    finally:
        parent.communicate()


def test_a_failure_ends_a_part_and_the_clock_ends_the_run():
    bench = runpy.run_path(str(ROOT / "bench/run"))
    run = bench["Run"]({}, ["way"], False)

    def fails():
        raise SystemExit("why")

    def ends():
        raise servers.OutOfTime("out of time")

    run.part("answers", ends)    # is not asked for
    run.part("way", fails)
    assert run.data == {"failed": ["way: why"]}
    with pytest.raises(servers.OutOfTime):
        run.part("way", ends)
    assert rows.turns({"copy": fails}, 1) == {}
    with pytest.raises(servers.OutOfTime):
        rows.turns({"copy": ends}, 1)


def test_a_command_that_hangs_ends_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "HOME", tmp_path)
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        peers.run("hang", ["sh", "-c", "sleep 600 & echo $!; wait"], 1)
    assert time.monotonic() - began < 60
    child = int((tmp_path / "hang.log").read_text())
    servers.wait_for("the end of the child", 30, lambda: not alive(child))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_peer_that_cannot_be_built_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(peers, "HOME", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "express").mkdir()
    monkeypatch.setattr(peers.connect, "LIBS", tmp_path / "libs")
    assert peers.build() == {}
    said = capsys.readouterr().err
    for name in ("Express", "Go", "Rust", "Kafka Connect"):
        assert f"without the peer {name}" in said
