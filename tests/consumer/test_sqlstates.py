"""Whose fault PostgreSQL's codes are, as a table's trigger raises them at the
row or at the transaction's end: what the daemon does, and that it goes on by
itself once the trigger is gone."""

import pytest

from tests.lib import web
from tests.lib.env import wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "batch": {"linger": "5ms"}, "dead_letters": {"hold_above": 1},
    "columns": {
        "n": {"path": "/n", "type": "integer"},
        "part": {"meta": "partition", "type": "integer"},
        "off": {"meta": "offset", "type": "bigint"},
    },
}
OWNERS = {
    "dead letter": ("22P02", "23505", "44000", "54000", "P0001"),
    "later": ("23503",),
    # test_blame.py has more of them
    "alone": ("01000", "02000", "21000", "53100", "57014", "XX000", "ZZ999"),
    "retried": ("25P02", "40001", "55P03"),
    "reconnected": ("08006", "57P01"),
    "held": ("23514", "25006", "28000", "3D000", "3F000", "42501", "42P01"),
}
ROW = "BEFORE INSERT ON t"
END = "AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
CASES = [(owner, state, ROW) for owner, states in OWNERS.items()
         for state in states]
CASES += [(owner, state, END) for owner, state in (
    ("dead letter", "P0001"), ("retried", "40001"), ("alone", "01000"),
    ("reconnected", "57P01"))]


def values(start, stop):
    return ['{"n":%d}' % n for n in range(start, stop)]


def raises(database, state, when):
    database.query("CREATE TABLE t (n integer, part integer, off bigint)")
    database.query(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.n = 5 THEN RAISE EXCEPTION 'no five' USING"
        f" ERRCODE = '{state}'; END IF; RETURN NEW; END $$")
    database.query(f"CREATE {'CONSTRAINT' if when == END else ''} TRIGGER no"
                   f" {when} FOR EACH ROW EXECUTE FUNCTION no()")


def readiness(daemon):
    return web.request(daemon.port, "GET", "/readyz", timeout=5)


@pytest.mark.parametrize("owner, state, when", CASES)
def test_an_error_has_its_owner(consumer, topics, database, owner, state,
                                when):
    topic = topics.create()
    topics.produce(topic, values(0, 10))
    raises(database, state, when)
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: daemon.health()[0], 20, "it answers")
    kept = [n for n in range(10) if n != 5]

    if owner in ("dead letter", "later", "alone"):
        wait_for(lambda: database.try_count("t") == 9, 40, "the others")
        assert database.query("SELECT \"offset\", sqlstate"
                              " FROM sluice.dead_letters") == [(5, state)]
        assert daemon.health()[0] == 200
    else:
        kept.append(5)
        if owner == "held":
            assert state in daemon.wait_held()["reason"]
        else:
            wait_for(lambda: daemon.metric("sluice_consumer_retries_total",
                                           f'class="{state[:2]}"')
                     >= 3, 20, "tries")
            assert daemon.health()[0] == 200
            assert (daemon.metric("sluice_consumer_reconnects_total") >= 3) \
                == (owner == "reconnected")
        wait_for(lambda: readiness(daemon).status == 503, 5, "not ready")
        assert state in readiness(daemon).json["reason"]
        # by one at a time, those before it may have gone
        assert database.try_count("t") <= 5
        assert database.try_count("sluice.dead_letters") == 0

    database.query("DROP TRIGGER no ON t")
    topics.produce(topic, values(10, 20))
    wait_for(lambda: database.try_count("t") == len(kept) + 10, 20, "goes on")
    wait_for(lambda: readiness(daemon).status == 200, 5, "ready")
    daemon.stop()
    assert [n for n, in database.query("SELECT n FROM t ORDER BY n")] \
        == sorted(kept) + list(range(10, 20))
    daemon.verify()
