"""An attempt that fails the same way changes: the row that fails alone goes,
a batch that is too much is halved, else the daemon holds and says why."""

import pytest

from tests.lib import web
from tests.lib.env import TEST_CONSUMER, wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "batch": {"linger": "5ms"},
    "columns": {
        "n": {"path": "/n", "type": "integer"},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}


def values(start, stop):
    return ['{"n":%d}' % n for n in range(start, stop)]


def table(database):
    database.query("CREATE TABLE t (n integer, part integer, off bigint)")


def raises(database, condition, state, when="BEFORE INSERT", each="ROW"):
    """A trigger that raises "state" under a condition."""
    database.query(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF {condition} THEN RAISE EXCEPTION 'not this' USING"
        f" ERRCODE = '{state}'; END IF; RETURN NEW; END $$")
    referencing = "REFERENCING NEW TABLE AS new_rows" if each == "STATEMENT" \
        else ""
    database.query(f"CREATE TRIGGER no {when} ON t {referencing}"
                   f" FOR EACH {each} EXECUTE FUNCTION no()")


def numbers(database):
    return [n for n, in database.query("SELECT n FROM t ORDER BY n")]


def ready(daemon):
    return web.request(daemon.port, "GET", "/readyz", timeout=5)


def ends_well(daemon):
    daemon.wait_healthy()
    daemon.stop()
    daemon.verify()


@pytest.mark.parametrize("state", ["XX000", "38000", "0A000", "55000",
                                   "42601", "58030"])
def test_rows_that_fail_alone_become_dead_letters(consumer, topics, database,
                                                  state):
    table(database)
    raises(database, "NEW.n IN (3, 400, 401, 999)", state)
    topic = topics.create()
    topics.produce(topic, values(0, 1000))
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 996, 60, "the others")
    assert database.query("SELECT \"offset\", sqlstate FROM"
                          " sluice.dead_letters ORDER BY 1") \
        == [(n, state) for n in (3, 400, 401, 999)]
    ends_well(daemon)


def test_more_rows_than_one_search_may_blame(consumer, topics, database):
    """Fewer records are read until no more of them are suspect."""
    table(database)
    raises(database, "NEW.n % 20 = 0", "XX000")
    topic = topics.create()
    topics.produce(topic, values(1, 2000))
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 1900, 90, "the others")
    assert database.query("SELECT count(*), min(sqlstate), max(sqlstate)"
                          " FROM sluice.dead_letters") \
        == [(99, "XX000", "XX000")]
    ends_well(daemon)


def test_rows_that_no_tuple_carries_go_as_lines(consumer, topics, database):
    """Not with a search in each batch: the next ones are sent as lines."""
    table(database)
    raises(database, "current_query() LIKE '%FORMAT binary%'", "0A000")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    for n in range(30):
        topics.produce(topic, values(n, n + 1))
        wait_for(lambda n=n: database.try_count("t") == n + 1, 20, "a row")
    assert daemon.metric("sluice_consumer_batches_total") == 30
    assert daemon.metric("sluice_consumer_copies_total") <= 30 + 2
    assert database.try_count("sluice.dead_letters") == 0
    ends_well(daemon)


def test_a_table_that_takes_no_row_holds_and_loses_none(consumer, topics,
                                                        database):
    table(database)
    raises(database, "true", "XX000")
    topic = topics.create()
    topics.produce(topic, values(0, 100))
    daemon = consumer({**CONFIG, "topic": topic})
    assert "XX000" in daemon.wait_held()["reason"]
    assert database.try_count("sluice.dead_letters") == 0
    database.query("DROP TRIGGER no ON t")
    wait_for(lambda: database.try_count("t") == 100, 30, "it goes on")
    assert database.try_count("sluice.dead_letters") == 0
    ends_well(daemon)


def test_a_lone_row_waits_for_a_neighbour(consumer, topics, database):
    table(database)
    raises(database, "NEW.n = 5", "XX000")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 5))
    wait_for(lambda: database.try_count("t") == 5, 30, "those before")
    topics.produce(topic, values(5, 6))
    assert "XX000" in daemon.wait_held()["reason"]
    assert database.try_count("sluice.dead_letters") == 0
    topics.produce(topic, values(6, 8))
    wait_for(lambda: database.try_count("t") == 7, 60, "those behind")
    assert numbers(database) == [0, 1, 2, 3, 4, 6, 7]
    assert database.value("SELECT \"offset\" FROM sluice.dead_letters") == 5
    ends_well(daemon)


@pytest.mark.parametrize("state", ["57014", "53200"])
def test_more_than_a_transaction_can_have_is_halved(consumer, topics,
                                                    database, state):
    table(database)
    raises(database, "(SELECT count(*) FROM new_rows) > 70", state,
           "AFTER INSERT", "STATEMENT")
    topic = topics.create(2)
    topics.produce(topic, values(0, 3000))
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 3000, 60, "all rows")
    assert numbers(database) == list(range(3000))
    assert database.try_count("sluice.dead_letters") == 0
    assert "records at a time" in daemon.log()
    ends_well(daemon)


@pytest.mark.parametrize("state", ["57014", "53200"])
def test_a_row_that_is_too_much_alone_is_found(consumer, topics, database,
                                               state):
    table(database)
    raises(database, "NEW.n = 40", state)
    topic = topics.create()
    topics.produce(topic, values(0, 100))
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 99, 90, "the others")
    assert database.query("SELECT \"offset\", sqlstate FROM"
                          " sluice.dead_letters") == [(40, state)]
    ends_well(daemon)


def test_what_another_session_holds_up_is_no_rows_fault(consumer, topics,
                                                        database):
    table(database)
    raises(database, "NEW.n = 5", "40001")
    topic = topics.create()
    topics.produce(topic, values(0, 10))
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 5, 60, "those before")
    wait_for(lambda: ready(daemon).status == 503, 10, "not ready")
    assert "40001" in ready(daemon).json["reason"]
    assert database.try_count("sluice.dead_letters") == 0
    database.query("DROP TRIGGER no ON t")
    wait_for(lambda: database.try_count("t") == 10, 30, "all")
    ends_well(daemon)


def test_a_role_that_may_only_read_holds(consumer, topics, database):
    table(database)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})
    topics.produce(topic, values(0, 5))
    wait_for(lambda: database.try_count("t") == 5, 30, "rows")
    role = database.value("SELECT current_user")
    database.query(f'ALTER ROLE "{role}" IN DATABASE "{database.name}"'
                   " SET default_transaction_read_only = on")
    database.query("SET default_transaction_read_only = off")
    database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                   " WHERE application_name LIKE 'sluice:%%'"
                   " AND datname = current_database()")
    topics.produce(topic, values(5, 10))
    start = len(daemon.log())
    assert "25006" in daemon.wait_held()["reason"]
    assert daemon.log()[start:].count("going on") <= 1
    assert len(daemon.log()[start:].splitlines()) < 20
    database.query(f'ALTER ROLE "{role}" IN DATABASE "{database.name}"'
                   " RESET default_transaction_read_only")
    wait_for(lambda: database.try_count("t") == 10, 30, "it goes on")
    ends_well(daemon)


def test_a_long_wait_is_told(consumer, topics, database):
    """10 and 30 s for who runs it, 2 and 6 here."""
    table(database)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, program=TEST_CONSUMER,
                      SLUICE_TEST_TIMES="5")
    topics.produce(topic, values(0, 5))
    wait_for(lambda: database.try_count("t") == 5, 30, "rows")
    wait_for(lambda: ready(daemon).status == 200, 10, "ready")
    lock = database.begin("LOCK TABLE t IN SHARE MODE")
    topics.produce(topic, values(5, 10))
    wait_for(lambda: ready(daemon).status == 503, 30, "not ready")
    assert "lock" in ready(daemon).json["reason"]
    wait_for(lambda: daemon.health()[0] == 503, 60, "not healthy")
    lock.close()
    wait_for(lambda: database.try_count("t") == 10, 30, "it goes on")
    wait_for(lambda: ready(daemon).status == 200, 10, "ready again")
    ends_well(daemon)


def test_an_absent_synchronous_standby_is_told(consumer, topics,
                                               own_database):
    """COMMIT waits for it without an error, and no statement_timeout ends
    that wait."""
    table(own_database)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=own_database.conninfo, program=TEST_CONSUMER,
                      SLUICE_TEST_TIMES="2")
    topics.produce(topic, values(0, 5))
    wait_for(lambda: own_database.try_count("t") == 5, 30, "rows")
    wait_for(lambda: ready(daemon).status == 200, 10, "ready")
    own_database.query("ALTER SYSTEM SET synchronous_standby_names = 'away'")
    own_database.query("SELECT pg_reload_conf()")
    try:
        topics.produce(topic, values(5, 10))
        wait_for(lambda: ready(daemon).status == 503, 40, "not ready")
        assert "synchronous standby" in ready(daemon).json["reason"]
        assert daemon.health()[0] == 200
        wait_for(lambda: daemon.health()[0] == 503, 60, "not healthy")
    finally:
        own_database.query("SET synchronous_commit = local")
        own_database.query("ALTER SYSTEM RESET synchronous_standby_names")
        own_database.query("SELECT pg_reload_conf()")
    wait_for(lambda: ready(daemon).status == 200, 40, "ready again")
    assert numbers(own_database) == list(range(10))
    ends_well(daemon)
