"""DELETE, the whole way: nginx, Kafka, a daemon in upsert_delete, a table."""

from concurrent import futures

import pytest

from tests.lib.env import wait_for

CONF = """
    kafka_producer main {
        brokers        %%KAFKA%%;
        timeout        5s;
        topic          %%TOPIC%% partitions=2 replication=1 create;
        kafka_receipts %%RECEIPTS%% group=%%GROUP%% create;
    }
    kafka_drain_timeout 60s;
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic   %%TOPIC%%;
        kafka_format  json;
        kafka_timeout 30s;
        location ~ ^/profiles/(?<name>\\w+)$ {
            kafka_pass   main;
            kafka_key    $name;
            kafka_ack    stored;
            kafka_delete on;
        }
        location = /event {
            kafka_pass   main;
            kafka_format cloudevents;
            kafka_ack    stored;
            kafka_empty  null;
        }
        location = /status { kafka_status json; }
    }
"""

EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/here",
         "ce-type": "profile"}


@pytest.fixture
def server(nginx, consumer, topics, database):
    topic, receipts = topics.name(), topics.name()
    database.query("CREATE TABLE profile (name text PRIMARY KEY, age integer)")
    made = nginx(CONF, TOPIC=topic, RECEIPTS=receipts,
                 GROUP=f"g@{database.name}")
    wait_for(lambda: topics.partitions(topic) == 2, 20, "the topic")
    consumer({"topic": topic, "group": "g", "start": "earliest",
              "table": "profile", "mode": "upsert_delete", "key": ["name"],
              "batch": {"linger": "5ms"}, "receipts": {"topic": receipts},
              "columns": {"name": {"path": "/name", "type": "text"},
                          "age": {"path": "/age", "type": "integer"}}})
    wait_for(lambda: made.get("/status").json["producers"][0]["receipts"][
        "reading"] == 1, 30, "receipts are read")
    return made


def put(server, name, age):
    return server.request("PUT", f"/profiles/{name}",
                          b'{"name":"%s","age":%d}' % (name.encode(), age))


def delete(server, name):
    return server.request("DELETE", f"/profiles/{name}")


def rows(database):
    return database.query("SELECT name, age FROM profile ORDER BY name")


def test_after_the_200_of_a_delete_the_row_is_gone(server, database):
    assert put(server, "ann", 1).json["stored"] == "row"
    assert put(server, "bob", 2).json["stored"] == "row"
    assert rows(database) == [("ann", 1), ("bob", 2)]
    answer = delete(server, "ann")
    assert answer.status == 200 and answer.json["stored"] == "row"
    assert rows(database) == [("bob", 2)]
    # of a row that is not there, and then it comes again
    assert delete(server, "ann").status == 200
    assert put(server, "ann", 3).status == 200
    assert rows(database) == [("ann", 3), ("bob", 2)]
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0


def test_an_event_without_data_deletes_too(server, database):
    assert put(server, "ann", 1).status == 200
    answer = server.post("/event", b"", {**EVENT, "ce-partitionkey": "ann"})
    assert answer.status == 200 and answer.json["stored"] == "row"
    assert rows(database) == []


def test_of_one_key_the_last_answer_counts(server, database):
    """Whatever lies in one batch of the daemon."""
    def life(name):
        for age in range(5):
            assert put(server, name, age).status == 200
            if age % 2:
                assert delete(server, name).status == 200

    names = [f"n{number:02}" for number in range(16)]
    with futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(life, names))
    assert rows(database) == [(name, 4) for name in names]
