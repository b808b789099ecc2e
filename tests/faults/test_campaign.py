"""The campaign's own parts, without a cluster: each rule of its judge, its
watcher and its shrinking sees what it is for."""

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

from tests.cluster.clients import Client, line
from tests.cluster.faults import EVERYTHING, KINDS, Kind
from tests.cluster.judge import Judge, ident_of, told
from tests.cluster.schedule import (AT_ONCE, Fault, Runner, part_of,
                                    schedule, shrink, tokens)
from tests.cluster.watcher import Still, Watcher, stack
from tests.lib.env import LONG, ROOT, wait_for
from tests.lib.history import Event


def event(ident, outcome="ok", key="", start=0.0, end=1.0, part=0, off=None,
          status=200):
    return Event(ident, key, ident.encode(), start, end, status, outcome,
                 part if off is not None else None, off)


def digest(ident):
    return hashlib.md5(ident.encode()).hexdigest()


SENT = [("single", event("a", off=0)),
        ("keyed", event("k1", key="k", off=1)),
        ("keyed", event("k2", key="k", start=2.0, end=3.0, off=2)),
        ("batch", event("maybe", "maybe")), ("batch", event("gone", "maybe")),
        ("queued", event("q", "queued")), ("queued", event("r", "queued")),
        ("single", event("no", "fail", status=503)),
        ("bad", event("bad", off=6))]
# offset 5 is a gap
PLACES = [("a", digest("a"), 0, 0, 0), ("k1", digest("k1"), 0, 1, 0),
          ("k2", digest("k2"), 0, 2, 0), ("maybe", digest("maybe"), 0, 3, 0),
          ("q", digest("q"), 0, 4, 0), ("bad", digest("bad"), 0, 6, 1)]
KEPT = [(0, 7), (1, 0)]
COUNTED = [(0, 0, 7, "records", 6), (0, 5, 6, "gap", 0)]


def judged(sent=SENT, places=PLACES, kept=KEPT, counted=COUNTED, growths=0):
    judge = Judge()
    judge.sent(line(kind, one) for kind, one in sent)
    judge.places(places)
    judge.kept(kept)
    judge.counted(counted)
    return judge.faults(growths)


def test_a_good_history_passes():
    assert judged() == []


def changed(rows, number, **fields):
    """A copy in which one row has other fields."""
    names = ("id", "digest", "part", "off", "dead")
    row = {**dict(zip(names, rows[number])), **fields}
    return rows[:number] + [tuple(row.values())] + rows[number + 1:]


@pytest.mark.parametrize("what, invariant, places", [
    ("lost", 1, PLACES[1:]),
    ("doubled", 1, PLACES + [("a", digest("a"), 0, 7, 0)]),
    ("doubled", 1, PLACES + [("maybe", digest("maybe"), 0, 7, 0)]),
    ("doubled", 1, PLACES + [("q", digest("q"), 0, 7, 1)]),
    ("other bytes", 1, changed(PLACES, 0, digest=digest("A"))),
    ("not where the answer said", 1, changed(PLACES, 0, off=7)),
    ("a dead letter for a row", 1, changed(PLACES, 0, dead=1)),
    ("a dead letter for a row", 1, changed(PLACES, 5, dead=0)),
    ("refused, yet there", 2, PLACES + [("no", digest("no"), 0, 7, 0)]),
    ("ghosts", 2, PLACES + [("alien", digest("alien"), 0, 7, 0)]),
    ("offsets stored twice", 4, PLACES + [("r", digest("r"), 0, 4, 0)]),
    ("stored beyond the kept offset", 4,
     PLACES + [("r", digest("r"), 0, 7, 0)]),
    ("stored beyond the kept offset", 4,
     PLACES + [("r", digest("r"), 5, 0, 0)]),
    ("stored in a gap", 4, changed(PLACES, 4, off=5)),
    ("unaccounted", 4, PLACES[:3] + PLACES[4:]),
    ("sluice.batches counts otherwise", 4, PLACES[:3] + PLACES[4:]),
])
def test_a_loss_a_double_a_ghost_or_a_hole_is_seen(what, invariant, places):
    found = judged(places=places)
    assert any(one[0] == invariant and one[1].startswith(what)
               for one in found), told(found)


def test_an_untruthful_answer_is_seen():
    assert [one[1] for one in judged(
        SENT + [("single", event("z", "untruthful"))])] == ["untruthful"]


def test_a_wrong_order_of_one_key_is_seen():
    swapped = changed(changed(PLACES, 1, off=2), 2, off=1)
    sent = SENT[:1] + [
        ("keyed", event("k1", key="k", off=2)),
        ("keyed", event("k2", key="k", start=2.0, end=3.0, off=1)),
    ] + SENT[3:]
    assert [one[:2] for one in judged(sent, swapped)] == [(3, "order")]
    # requests that overlap have no order
    sent[2] = ("keyed", event("k2", key="k", start=0.5, end=3.0, off=1))
    assert judged(sent, swapped) == []


def test_a_key_has_another_partition_only_where_the_topic_has_grown():
    moved = changed(PLACES, 2, part=1, off=0)
    sent = SENT[:2] + [("keyed", event("k2", key="k", start=2.0, end=3.0,
                                       part=1, off=0))] + SENT[3:]
    more = {"places": moved, "kept": [(0, 7), (1, 1)],
            "counted": [(0, 0, 7, "records", 5), (0, 2, 3, "gap", 0),
                        COUNTED[1], (1, 0, 1, "records", 1)]}
    assert [one[1] for one in judged(sent, **more)] \
        == ["key in too many partitions"]
    assert judged(sent, growths=1, **more) == []


def test_a_foreign_dead_letter_is_a_ghost():
    assert ident_of('{"id": "x-1"}') == "x-1"
    for value in ("x", "[]", "{}"):
        assert ident_of(value).startswith("not ours")


def test_figures_count_what_was_answered_and_kept():
    judge = Judge()
    judge.sent(line(kind, one) for kind, one in SENT)
    judge.places(PLACES)
    figures = judge.figures()
    assert ("keyed", "ok", 2) in figures["outcomes"]
    assert ("maybe", 1, 2) in figures["stored"]
    assert figures["dead"] == 1 and figures["pause"] == 2.0


def watch(seconds, lags, up=lambda now: True, reasons=lambda now: []):
    """What is said first, and when."""
    still = Still(calm=30, patience=15, slack=10)
    for now in range(seconds):
        said = still.sample(now, up(now), lags(now), reasons(now))
        if said:
            return now, said
    return None


def test_a_daemon_that_goes_on_is_not_still():
    assert watch(200, lambda now: {0: (100 * now, 100 * now + 5)}) is None
    assert watch(200, lambda now: {0: (9, 9)}) is None
    # behind, but gaining
    assert watch(200, lambda now: {0: (120 * now, 90000 + 100 * now)}) is None


def test_a_daemon_that_stands_still_is_seen():
    assert watch(200, lambda now: {0: (7, 8), 1: (now, now)}) \
        == (30, "partition 0 stays at offset 7 for 30 s")
    # one that begins to later
    assert watch(200, lambda now: {0: (min(now, 100), 500)})[0] == 115
    # nobody answers any more
    assert watch(200, lambda now: {0: (now, 500)} if now < 100 else None)[0] \
        >= 114
    # slower than the load
    when, said = watch(200, lambda now: {0: (now, 3 * now + 50)})
    assert when == 30 and "the lag is not below 50" in said


def test_a_fault_or_a_reason_excuses():
    still = {"lags": lambda now: {0: (7, 8)}}
    assert watch(200, up=lambda now: now % 30 > 0, **still) is None
    assert watch(200, reasons=lambda now: ["held: no table"], **still) is None
    # and no longer than it lasts
    assert watch(200, up=lambda now: now > 50, **still)[0] == 81
    assert watch(200, reasons=lambda now: ["x"] if now < 50 else [],
                 **still)[0] == 64


def test_the_watcher_tells_the_first_fault_with_evidence():
    watcher = Watcher(lambda: (True, {3: (7, 8)}, []), lambda: "the stack",
                      Still(calm=0.1, patience=0.1), every=0.02)
    watcher.start()
    wait_for(lambda: watcher.wrong, 10, "it is seen")
    said = watcher.stop()
    assert "partition 3 stays at offset 7" in said and "the stack" in said


def test_a_stack_is_told_or_why_not():
    with subprocess.Popen(["sleep", "60"]) as process:
        said = stack(process.pid)
        process.kill()
    assert "#0" in said or not shutil.which("gdb"), said


def test_a_seed_draws_the_same_schedule():
    faults_ = schedule(7, 100)
    assert faults_ == schedule(7, 100) != schedule(8, 100)
    assert sum(KINDS[fault.kind].kill for fault in faults_) == 100
    assert {fault.kind for fault in faults_} == set(KINDS)
    assert [fault.at for fault in faults_] \
        == sorted(fault.at for fault in faults_)
    lacking = schedule(7, 100, lacking={"faketime"})
    assert not any(KINDS[fault.kind].needs for fault in lacking
                   if KINDS[fault.kind].needs == "faketime")


def test_no_two_faults_take_the_same_part():
    taken = {}
    for fault in schedule(11, 300):
        one = KINDS[fault.kind]
        for token in tokens(one, fault.host):
            assert token in EVERYTHING
            assert fault.at >= taken.get(token, 0.0), fault
            taken[token] = fault.at + fault.hold
    ends = [(fault.at, fault.at + fault.hold) for fault in schedule(11, 300)]
    assert max(sum(begin < at < end for begin, end in ends)
               for at, _ in ends) < AT_ONCE
    pauses = [later[0] - max(end for _, end in ends[:number + 1])
              for number, later in enumerate(ends[1:])]
    assert sum(pause >= 45 for pause in pauses) >= len(ends) // 10 - 1


@pytest.mark.parametrize("guilty", [{1}, {40}, {7, 23}, {2, 3, 39}])
def test_a_failing_schedule_is_shrunk(guilty):
    faults_ = schedule(3, 40)[:40]
    runs = []

    def fails(numbers):
        runs.append(numbers)
        return guilty <= set(numbers)

    assert set(shrink(faults_, fails, say=lambda text: None)) == guilty
    assert len(runs) < 80
    part = part_of(faults_, guilty)
    assert [fault.number for fault in part] == sorted(guilty)
    assert all(fault.at <= faults_[fault.number - 1].at for fault in part)


def test_a_fault_that_cannot_begin_or_end_is_told():
    @contextlib.contextmanager
    def breaks(cluster, fault):
        assert cluster == "the cluster"
        yield
        raise OSError("no end")

    KINDS["breaks"] = Kind("breaks", ("topic",), (0, 0), 1, 0, False,
                            "", "", breaks)
    try:
        runner = Runner("the cluster", [
            Fault(1, 0.0, "breaks", "h1", 0.0, 0.0)], lambda text: None)
        runner.start()
        wait_for(lambda: not runner.running(), 10, "it ends")
    finally:
        del KINDS["breaks"]
    assert "no end" in runner.broken[0] and not runner.on


@pytest.fixture
def answering():
    """A server that gives the answers of a list, then 200."""
    answers, bodies = [], []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            bodies.append(self.rfile.read(int(
                self.headers["Content-Length"])))
            status, said = answers.pop(0) if answers else (200, {})
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address, answers, bodies
    server.shutdown()


def test_only_what_is_not_kept_is_sent_again(answering, directory):
    address, answers, bodies = answering
    answers += [(503, {"persisted": "no"}), (504, {"persisted": "possibly"}),
                (400, {"persisted": "no"})]
    client = Client("bad", [address], directory, 4000)
    client.connections = 1
    client.start()
    wait_for(lambda: len(bodies) > 5, 20, "requests")
    client.stop()
    lines = [one.split("\t") for one in
             (directory / "bad.history").read_text().splitlines()]
    # the second try of the first record is the 504
    assert bodies[0] == bodies[1] and len(set(bodies)) == len(bodies) - 1
    assert [(one[7], one[10].strip()) for one in lines[:3]] \
        == [("maybe", "2"), ("fail", "1"), ("ok", "1")]
    assert len(lines) == len(set(bodies))
    assert client.requests["fail"] == 2


@pytest.mark.skipif(not LONG, reason="only in make faults")
def test_ten_minutes_of_the_campaign(directory):
    """A seed of its own each time; what it says tells how to run it again."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "tests.cluster.campaign", "--kills",
         "22", "--records", "200000"], cwd=ROOT, timeout=1800,
        env=dict(os.environ, SLUICE_CLUSTER=str(directory / "cluster")),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 2:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout
    assert "lost 0, doubled 0, ghosts 0, out of order 0" in done.stdout
