"""`kafka_format confluent` with clients that others wrote: one of v3 from
PyPI, and requests for v2, which has none that produces JSON today."""

import json
import os
import subprocess

import pytest

from tests.lib.env import ROOT, wait_for

CONF = """
    kafka_producer main { brokers %%KAFKA%%; topic %%TOPIC%%; }
    server {
        listen 127.0.0.1:%%PORT%%;
        location / { kafka_pass main; kafka_format confluent; }
    }
"""

V3 = """
import json, sys
from kafka_mcp.api.api_client_kafka import KafkaApi
api = KafkaApi(sys.argv[1])
topic = sys.argv[2]
said = {
    "cluster": api.get_cluster()["cluster_id"],
    "topics": [one["topic_name"] for one in api.list_topics()["data"]],
    "topic": api.get_topic(topic)["partitions_count"],
    "partitions": [one["partition_id"]
                   for one in api.list_partitions(topic)["data"]],
    "records": [
        api.produce_record(topic, {"n": 1}, key="k", key_format="STRING",
                           headers=[{"name": "h", "value": "aGk="}]),
        api.produce_record(topic, "text", value_format="STRING",
                           partition_id=0),
        api.produce_record(topic, "AAE=", value_format="BINARY")],
}
try:
    api.produce_record("absent", 1)
except Exception as problem:
    said["absent"] = str(problem)
print(json.dumps(said))
"""

V2 = """
import json, sys, requests
root, topic = sys.argv[1:]
session = requests.Session()
session.headers["Accept"] = "application/vnd.kafka.v2+json"
assert topic in session.get(f"{root}/topics").json()
assert session.get(f"{root}/topics/{topic}").json()["name"] == topic
said = session.post(
    f"{root}/topics/{topic}", data=json.dumps({"records": [
        {"key": "k", "value": {"n": 1}}, {"value": [None]}]}),
    headers={"Content-Type": "application/vnd.kafka.json.v2+json"})
said.raise_for_status()
print(json.dumps(said.json()))
"""


@pytest.fixture(scope="module")
def python():
    """Of the environment with the pinned clients, below build/."""
    done = subprocess.run(
        [ROOT / "stack" / "venv", "tests/confluent.pip"], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=400, env=dict(os.environ, PIP_NO_DEPS="1"))
    assert done.returncode == 0, done.stdout
    return f"{done.stdout.strip()}/bin/python"


def run(python, script, *words):
    done = subprocess.run([python, "-c", script, *words], timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def server(nginx, topic):
    made = nginx(CONF, TOPIC=topic)
    wait_for(lambda: made.get(f"/topics/{topic}").status == 200, 20,
             "the topic's partitions are known")
    return made


def test_a_client_of_v3(server, topics, topic, python):
    said = run(python, V3, f"http://127.0.0.1:{server.port}", topic)
    assert said["topics"] == [topic]
    assert said["topic"] == 1 and said["partitions"] == [0]
    assert "404" in said["absent"] and "40401" in said["absent"]
    assert [(one["error_code"], one["topic_name"], one["offset"],
             one["cluster_id"], one["value"]) for one in said["records"]] == [
        (200, topic, offset, said["cluster"], {"type": kind, "size": size})
        for offset, kind, size in ((0, "JSON", len('{"n": 1}')),
                                   (1, "STRING", 4), (2, "BINARY", 2))]
    found = topics.records(topic)
    assert [record.value for record in found] == [b'{"n": 1}', b"text",
                                                  b"\x00\x01"]
    assert found[0].key == b"k" and found[0].headers == (("h", b"hi"),)


def test_a_client_of_v2(server, topics, topic, python):
    said = run(python, V2, f"http://127.0.0.1:{server.port}", topic)
    assert [place["offset"] for place in said["offsets"]] == [0, 1]
    assert [(record.key, record.value) for record in topics.records(topic)] \
        == [(b'"k"', b'{"n": 1}'), (None, b"[null]")]
