"""A trace from HTTP to the row: what a client sends with its request is a
link of the span that the daemon writes of the batch."""

import json
import os
import signal
import subprocess

import pytest

from tests.lib.env import ROOT, wait_for
from tests.lib.stored import CONFIG, TABLE, Way

# as a collector reads a line; unknown names and wrong types are refused
READ = """
import json, sys
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
for line in sys.stdin:
    json_format.Parse(line, TracesData())
"""
STATE = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"


def parent(number, flags="01"):
    return f"00-{number:032x}-{number:016x}-{flags}"


@pytest.fixture(scope="module")
def collector():
    """Refuses what is no OTLP."""
    done = subprocess.run([ROOT / "stack" / "venv", "tests/monitoring.pip"],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    python = f"{done.stdout.strip()}/bin/python"

    def take(*files, good=True):
        text = "".join(file.read_text() for file in files)
        done = subprocess.run([python, "-c", READ], input=text, text=True,
                              capture_output=True)
        assert (done.returncode == 0) == good, done.stderr
        return text

    return take


def spans(*files):
    found = []
    for file in files:
        for line in file.read_text().splitlines():
            resource, = json.loads(line)["resourceSpans"]
            assert resource["resource"]["attributes"] == [
                {"key": "service.name",
                 "value": {"stringValue": "sluice-consumer"}}]
            scope, = resource["scopeSpans"]
            found += scope["spans"]
    return found


def attributes(one):
    return {item["key"]: next(iter(item["value"].values()))
            for item in one["attributes"]}


def test_a_request_leads_to_its_row(nginx, consumer, kafka, topics, database,
                                    directory, collector):
    file = directory / "spans.otlp"
    way = Way(nginx, consumer, kafka, topics, database,
              config={"trace": {"file": str(file)}, "dead_letters": None},
              wait="30s")
    # none of the records so far came with a trace
    assert not file.exists()
    kept = way.post({"id": "a"}, headers={"traceparent": parent(1),
                                          "tracestate": STATE}).json
    dead = way.post({"id": "bad"}, headers={"traceparent": parent(2),
                                            "tracestate": STATE}).json
    assert dead["status"] == 422
    for trace in (parent(3, "00"), parent(4)[:-1]):
        assert way.post({"id": trace}, headers={"traceparent": trace}
                        ).status == 200
    assert way.post({"id": "b"}, headers={"traceparent": parent(5)}
                    ).status == 200
    wait_for(lambda: file.exists() and parent(5)[3:35] in file.read_text(),
             20, "the last span")
    text = collector(file)
    wrong = directory / "wrong"
    wrong.write_text(text.replace('"kind"', '"knd"'))
    collector(wrong, good=False)
    found = spans(file)
    links = {link["traceId"]: link for span in found for link in span["links"]}
    assert set(links) == {parent(n)[3:35] for n in (1, 2, 5)}
    for number, answer, outcome in ((1, kept, "row"),
                                    (2, dead, "dead-letter")):
        link = links[parent(number)[3:35]]
        assert link["spanId"] == parent(number)[36:52]
        assert link["traceState"] == STATE
        assert attributes(link) == {
            "messaging.destination.partition.id": str(answer["partition"]),
            "messaging.kafka.offset": str(answer["offset"]),
            "sluice.outcome": outcome}
    assert "traceState" not in links[parent(5)[3:35]]
    for span in found:
        assert span["name"] == f"process {way.topic}" and span["kind"] == 5
        assert len({span["traceId"], *links}) == 4
        assert len(span["spanId"]) == 16
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        said = attributes(span)
        assert said["messaging.destination.name"] == way.topic
        assert int(said["messaging.batch.message_count"]) \
            >= int(said["sluice.rows"]) + int(said["sluice.dead_letters"]) >= 1
    # a dead letter keeps what its record came with
    headers, = [row[0] for row in database.query(
        "SELECT headers FROM sluice.dead_letters WHERE topic = %s", way.topic)]
    assert {(one["name"], one["value"]) for one in headers} >= {
        ("traceparent", parent(2)), ("tracestate", STATE)}
    # what a program moves away is begun again with SIGHUP
    file.rename(directory / "moved")
    os.kill(way.daemon.pid, signal.SIGHUP)
    way.daemon.wait_log("starting again")
    way.ready()
    assert way.post({"id": "c"}, headers={"traceparent": parent(6)}
                    ).status in (200, 202)
    wait_for(lambda: file.exists() and parent(6)[3:35] in file.read_text(),
             30, "a span of the next run")


def records(numbers):
    return [(None, json.dumps({"id": f"{number}"}), 0,
             [("traceparent", parent(number)),
              ("tracestate", "a=" + "x" * 500)]) for number in numbers]


def traced(consumer, topics, database, file, **more):
    topic = topics.create()
    database.query(TABLE)
    daemon = consumer({**CONFIG, "topic": topic, **more,
                       "trace": {"file": str(file), "bytes": "1m"}},
                      start=False)
    return topic, daemon


def test_links_have_a_bound(consumer, topics, database, directory, collector):
    file = directory / "spans.otlp"
    topic, daemon = traced(consumer, topics, database, file,
                           batch={"rows": 1000, "linger": "2s"})
    topics.produce(topic, records(range(1, 1001)))
    # of one request: one link
    topics.produce(topic, [(None, '{"id":"%d"}' % (2000 + n), 0,
                            [("traceparent", parent(9999))])
                           for n in range(100)])
    daemon.start()
    wait_for(lambda: database.try_count("t") == 1100, 30, "the rows")
    daemon.stop()
    collector(file)
    found = spans(file)
    assert max(len(span["links"]) for span in found) == 128
    dropped = sum(span.get("droppedLinksCount", 0) for span in found)
    assert dropped > 0
    # a batch's end may part the records of the one request
    assert 0 <= sum(len(span["links"]) for span in found) + dropped - 1001 \
        < len(found)


def test_the_file_has_a_bound(consumer, topics, database, directory,
                              collector):
    """More than 2 MB of spans; a file and the one before it stay."""
    folder = directory / "spans"
    folder.mkdir()
    file = folder / "spans.otlp"
    topic, daemon = traced(consumer, topics, database, file,
                           batch={"rows": 100, "linger": "5ms"})
    topics.produce(topic, records(range(1, 4001)))
    daemon.start()
    wait_for(lambda: database.try_count("t") == 4000, 60, "the rows")
    daemon.stop()
    old = folder / "spans.otlp.1"
    assert set(folder.iterdir()) == {file, old}
    assert 0 < file.stat().st_size <= 1 << 20
    assert (1 << 20) - 200_000 < old.stat().st_size <= 1 << 20
    collector(file, old)
    last = max(int(link["traceId"], 16) for span in spans(file)
               for link in span["links"])
    assert last == 4000


def test_a_file_that_cannot_be_written_stops_nothing(consumer, topics,
                                                     database, directory):
    topic, daemon = traced(consumer, topics, database,
                           directory / "none" / "spans.otlp")
    topics.produce(topic, records(range(1, 11)))
    daemon.start()
    wait_for(lambda: database.try_count("t") == 10, 30, "the rows")
    daemon.wait_log(r'could not open ".*spans.otlp": No such file')
