"""The sample clients of examples/clients while the broker goes and comes:
each record is kept in the end, is sent again with its key, and is one row."""

import json
import shutil
import subprocess
import time

import pytest

from tests.lib.env import ROOT, wait_for

CLIENTS = ROOT / "examples" / "clients"
CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 1500ms;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /events {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
        }
    }
"""
RECORDS = 400


def program(name, directory):
    """The command that runs a sample."""
    if name == "go":
        if not shutil.which("go"):
            pytest.skip("missing: go (make bench installs it)")
        built = directory / "send"
        subprocess.run(["go", "build", "-o", built, CLIENTS / "send.go"],
                       check=True, cwd=directory)
        return [built]
    if name == "node":
        if not shutil.which("node"):
            pytest.skip("missing: node (stack/deps check)")
        return ["node", CLIENTS / "send.mjs"]
    return [CLIENTS / f"send.{name}"]


@pytest.mark.parametrize("name", ["py", "sh", "node", "go"])
def test_a_sample_sends_again_and_once(name, nginx, consumer, own_kafka,
                                       own_topics, database, directory):
    command = program(name, directory)
    topic = own_topics.create(partitions=2)
    database.query("CREATE TABLE t (n integer)")
    daemon = consumer({
        "group": topic, "topic": topic, "table": "t",
        "start": "earliest",
        "columns": {"n": {"path": "/n", "type": "integer"}},
        "dedupe": {"header": "idempotency-key", "window": "1h"}},
        broker=own_kafka)
    server = nginx(CONF, TOPIC=topic, KAFKA=own_kafka.bootstrap)
    client = subprocess.Popen(
        [*command, f"http://127.0.0.1:{server.port}/events", "120"],
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    client.stdin.write("".join(f'{{"n":{n}}}\n' for n in range(RECORDS)))
    client.stdin.close()
    wait_for(lambda: database.value("SELECT count(*) FROM t"), 20, "rows")
    # a broker that is silent leaves records that may be kept
    own_kafka.pause()
    wait_for(lambda: "[not-delivered]" in server.log()
             or "[maybe-delivered]" in server.log(), 20, "an error")
    own_kafka.resume()
    own_kafka.kill()
    own_kafka.start()
    said = client.stdout.read()
    assert client.wait(120) == 0, said
    assert f"{RECORDS} of {RECORDS} records are kept" in said
    wait_for(lambda: database.value("SELECT count(DISTINCT n) FROM t")
             == RECORDS, 30, "all rows")
    assert database.value("SELECT count(*) FROM t") == RECORDS
    assert daemon.alive()


@pytest.mark.parametrize("name", ["py", "sh", "node", "go"])
def test_a_sample_says_what_is_refused(name, nginx, topics, topic,
                                       directory):
    command = program(name, directory)
    server = nginx(CONF, TOPIC=topic)
    begun = time.monotonic()
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}/events"], text=True,
        check=False, input='{"n":1}\n{"n":\n\n{"n":2}\n',
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode == 1
    assert "2 of 3 records are kept" in done.stdout
    assert "not kept" in done.stdout and "400" in done.stdout
    assert time.monotonic() - begun < 30
    assert [json.loads(record.value)["n"] for record in topics.records(topic)
            ] == [1, 2]
