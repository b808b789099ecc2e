"""Partitions by time: made when a row needs one, and before."""

import datetime
import json

import pytest

from tests.lib.env import TEST_CONSUMER, wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t",
    "batch": {"linger": "5ms"}, "partitions": {"by": "day", "ahead": 2},
    "columns": {
        "id": {"path": "/id", "type": "integer"},
        "at": {"path": "/at", "type": "timestamptz"},
    },
}
TABLE = "CREATE TABLE t (id integer, at timestamptz) PARTITION BY RANGE (at)"
NOW = datetime.datetime.now(datetime.timezone.utc)


def day(n, hour=12):
    """That many days from today."""
    return (NOW + datetime.timedelta(n)).replace(
        hour=hour, minute=30, second=0, microsecond=0)


def record(number, at):
    return json.dumps({"id": number, "at": at.isoformat()})


def partitions(database, table="t"):
    return [row[0] for row in database.query(
        "SELECT relname || ' ' || pg_get_expr(relpartbound, oid)"
        " FROM pg_inherits JOIN pg_class ON oid = inhrelid"
        " WHERE inhparent = %s::regclass ORDER BY relname", table)]


def bounds(first, days=1, name="t"):
    last = first + datetime.timedelta(days)
    return (f"{name}_p{first:%Y%m%d} FOR VALUES FROM"
            f" ('{first:%Y-%m-%d} 00:00:00+00')"
            f" TO ('{last:%Y-%m-%d} 00:00:00+00')")


def days(*numbers):
    return [bounds(day(n)) for n in sorted(numbers)]


@pytest.fixture(autouse=True)
def in_utc(database):
    """Bounds are printed by the session's time zone."""
    database.query("SET timezone = 'UTC'")


def test_what_is_ahead_is_made_before_a_record(consumer, topics, database):
    database.query(TABLE)
    daemon = consumer({**CONFIG, "topic": topics.create()})
    wait_for(lambda: partitions(database) == days(0, 1, 2), 20, "partitions")
    daemon.wait_healthy()
    assert "has new partitions: public.t_p" in daemon.log()
    daemon.stop()
    daemon.start().wait_healthy()
    assert partitions(database) == days(0, 1, 2)


@pytest.mark.parametrize("mode", ["append", "ignore", "upsert", "keep"])
def test_a_row_gets_the_partition_it_needs(consumer, topics, database, mode):
    database.query(TABLE)
    key = {} if mode == "append" else {"key": ["id", "at"], "mode": mode}
    if key:
        database.query("ALTER TABLE t ADD PRIMARY KEY (id, at)")
    if mode == "keep":
        key.update(mode="upsert", on_missing="keep")
        database.query("ALTER TABLE t ADD x text")
        key["columns"] = {**CONFIG["columns"], "x": {"path": "/x"}}
    topic = topics.create()
    topics.produce(topic, [record(n, day(-n)) for n in range(20)])
    daemon = consumer({**CONFIG, **key, "topic": topic})
    wait_for(lambda: database.try_count("t") == 20, 20, "rows")
    assert partitions(database) == days(*range(-19, 3))
    assert "holding" not in daemon.log()
    daemon.stop()
    daemon.verify()
    if mode != "append":
        assert database.value(
            "SELECT reloptions FROM pg_class WHERE oid = %s::regclass",
            f"t_p{day(0):%Y%m%d}") == (None if mode == "ignore"
                                       else ["fillfactor=90"])


STEPS = {"hour": "YYYYMMDD\"h\"HH24", "day": "YYYYMMDD", "week": "YYYYMMDD",
         "month": "YYYYMM"}


@pytest.mark.parametrize("by, kind", [
    (by, kind) for by in STEPS for kind in ("date", "timestamp", "timestamptz")
    if (by, kind) != ("hour", "date")])
def test_bounds_are_those_of_the_period_in_utc(consumer, topics, database, by,
                                               kind):
    """create_table makes the parent; the database's time zone is none of
    ours."""
    database.query(f'ALTER DATABASE "{database.name}" SET timezone ='
                   " 'Pacific/Auckland'")
    topic = topics.create()
    topics.produce(topic, [record(n, NOW - datetime.timedelta(hours=23 * n))
                           for n in range(3)])
    columns = {**CONFIG["columns"], "at": {"path": "/at", "type": kind}}
    daemon = consumer(
        {**CONFIG, "topic": topic, "columns": columns, "create_table": True,
         "partitions": {"by": by, "ahead": 1, "behind": 100, "column": "at"}})
    wait_for(lambda: database.try_count("t") == 3, 20, "rows")
    wanted = {row[0] for row in database.query(
        f"SELECT 't_p' || to_char(p, '{STEPS[by]}') || ' FOR VALUES FROM ('"
        f" || quote_literal(p::{kind}) || ') TO ('"
        f" || quote_literal((p + '1 {by}'::interval)::{kind}) || ')'"
        f" FROM (SELECT date_trunc('{by}', at AT TIME ZONE 'UTC') AT TIME ZONE"
        "  'UTC' AS p FROM (SELECT at::timestamptz FROM t UNION ALL SELECT"
        f"  now() + i * '1 {by}'::interval FROM generate_series(0, 1) i) v) w")}
    assert set(partitions(database)) == wanted
    assert "holding" not in daemon.log()
    daemon.stop()
    daemon.verify()


def test_lines_and_headers_have_times_too(consumer, topics, database):
    """A column of a type that only PostgreSQL knows makes rows lines."""
    database.query(TABLE)
    database.query("ALTER TABLE t ADD p point")
    topic = topics.create()
    topics.produce(topic, [
        (None, json.dumps({"id": n, "p": "(1,2)\t"}), None,
         [("at", f"{day(-n):%Y-%m-%dT%H:%M}+14:00")]) for n in range(4)])
    daemon = consumer({**CONFIG, "topic": topic, "columns": {
        "p": {"path": "/p"}, "id": {"path": "/id"},
        "at": {"header": "at"}}})
    wait_for(lambda: database.try_count("t") == 4, 20, "rows")
    wanted = {day(-n, 0).date() - datetime.timedelta(1) for n in range(4)}
    wanted |= {day(n).date() for n in range(3)}
    assert len(partitions(database)) == len(wanted)
    assert "holding" not in daemon.log()


@pytest.mark.parametrize("at", ["9999-01-01T00:00:00Z", "1970-01-01T00:00:00Z",
                                "0001-01-01T00:00:00Z"])
@pytest.mark.parametrize("outside", ["hold", "dead_letter"])
def test_a_row_outside_makes_no_partition(consumer, topics, database, at,
                                          outside):
    """Beside one that gets its own."""
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, [record(1, day(-3)), json.dumps({"id": 2, "at": at}),
                           record(3, day(-4))])
    daemon = consumer({**CONFIG, "topic": topic, "partitions": {
        "by": "day", "ahead": 2, "behind": 5, "outside": outside}})
    if outside == "hold":
        body = daemon.wait_held()
        assert "no partition" in body["reason"], body
        assert "partitions.behind" in body["reason"], body
        assert database.value("SELECT count(*) FROM t") == 0
        database.query(f"CREATE TABLE odd PARTITION OF t FOR VALUES FROM"
                       f" ('{at}') TO ('{at}'::timestamptz + '1 day')")
    wait_for(lambda: database.try_count("t") == (3 if outside == "hold"
                                                 else 2), 30, "rows")
    assert [name for name in partitions(database)
            if not name.startswith("odd")] == days(-4, -3, 0, 1, 2)
    if outside == "dead_letter":
        assert database.query('SELECT "offset", sqlstate FROM'
                              " sluice.dead_letters") == [(1, "23514")]
    daemon.stop()
    daemon.verify()


def test_a_window_is_exact(consumer, topics, database):
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, [record(n, day(n)) for n in range(-6, 5)])
    daemon = consumer({**CONFIG, "topic": topic, "partitions": {
        "by": "day", "ahead": 2, "behind": 5, "outside": "dead_letter"},
        "dead_letters": {"hold_above": 1}})
    wait_for(lambda: database.try_count("sluice.dead_letters") == 3, 30,
             "dead letters")
    assert database.value("SELECT count(*) FROM t") == 8
    assert partitions(database) == days(*range(-5, 3))
    daemon.stop()
    daemon.verify()


def test_what_is_there_is_left_as_it_is(consumer, topics, database):
    """Other bounds: a new partition takes what none of them has."""
    database.query(TABLE)
    start, end = day(-9, 0), day(-7, 6)
    database.query("CREATE TABLE old PARTITION OF t FOR VALUES FROM (MINVALUE)"
                   " TO (%s)", f"{start:%Y-%m-%d}")
    database.query("CREATE TABLE odd PARTITION OF t FOR VALUES FROM (%s)"
                   " TO (%s)", f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d %H:00}")
    topic = topics.create()
    topics.produce(topic, [record(1, day(-200)), record(2, day(-8)),
                           record(3, day(-7, 2)), record(4, day(-7, 8))])
    consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 4, 20, "rows")
    made = [name for name in partitions(database)
            if name.startswith("t_p") and name not in days(0, 1, 2)]
    assert made == [
        f"t_p{end:%Y%m%d}060000 FOR VALUES FROM ('{end:%Y-%m-%d} 06:00:00+00')"
        f" TO ('{day(-6):%Y-%m-%d} 00:00:00+00')"]
    assert database.query("SELECT count(*) FROM odd") == [(2,)]


def test_a_default_partition_keeps_its_rows(consumer, topics, database):
    """Rows without a partition of their own go there, and the daemon says
    which partition cannot be made for them."""
    database.query(TABLE)
    database.query("CREATE TABLE rest PARTITION OF t DEFAULT")
    database.query("INSERT INTO t VALUES (0, %s)", day(1))
    topic = topics.create()
    topics.produce(topic, [record(1, day(-20)), record(2, day(0)),
                           record(3, day(1))])
    daemon = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 4, 20, "rows")
    assert partitions(database) == ["rest DEFAULT", *days(0, 2)]
    assert database.query("SELECT count(*) FROM rest") == [(3,)]
    assert "lacks partitions that no row needs yet" in daemon.log()
    assert "default partition" in daemon.log()
    daemon.wait_healthy()


def test_a_role_without_the_right_holds_with_the_grant(consumer, topics,
                                                       database):
    role = database.role()
    database.query("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    topic = topics.create()
    config = {**CONFIG, "topic": topic, "create_table": True,
              "partitions": {"by": "day", "ahead": 2, "column": "at"}}
    daemon = consumer(config, start=False,
                      conninfo=database.postgres.conninfo(database.name,
                                                          role))
    code, said = daemon.run("setup", "--admin", "user=sluice")
    assert code == 0, said
    assert partitions(database) == days(0, 1, 2)
    database.query(f'GRANT USAGE ON SCHEMA public TO "{role}"')
    daemon.start().wait_healthy()
    topics.produce(topic, [record(1, day(0))])
    wait_for(lambda: database.try_count("t") == 1, 20, "the row")
    assert "WARN" not in daemon.log()
    topics.produce(topic, [record(2, day(-2))])
    reason = daemon.wait_held()["reason"]
    grants = reason.split("may not make partitions: ")[1]
    assert f'OWNER TO {role}; GRANT CREATE ON SCHEMA public' in grants
    # the words are SQL that helps
    database.query(grants)
    wait_for(lambda: database.try_count("t") == 2, 30, "the other row")
    assert partitions(database) == days(-2, 0, 1, 2)
    daemon.stop()
    database.query(f'DROP OWNED BY "{role}" CASCADE')


@pytest.mark.parametrize("table, by, said", [
    ("CREATE TABLE t (id integer, at timestamptz)", "day",
     "is not partitioned by range of one column"),
    ("CREATE TABLE t (id integer, at timestamptz) PARTITION BY LIST (at)",
     "day", "is not partitioned by range of one column"),
    ("CREATE TABLE t (id integer, at timestamptz) PARTITION BY RANGE (id)",
     "day", "of type date, timestamp or timestamptz"),
    ("CREATE TABLE t (id integer, at timestamptz) PARTITION BY RANGE (id, at)",
     "day", "is not partitioned by range of one column"),
    ("CREATE TABLE t (id integer, at date) PARTITION BY RANGE (at)", "hour",
     "is partitioned by a date, which has no hours"),
])
def test_another_table_holds_and_is_told(consumer, topics, database, table, by,
                                         said):
    database.query(table)
    topic = topics.create()
    columns = {"id": "/id", "at": "/at"}
    daemon = consumer({**CONFIG, "topic": topic, "columns": columns,
                       "partitions": {"by": by}})
    assert said in daemon.wait_held()["reason"]
    code, words = daemon.run("--check")
    assert code == 1 and said in words, words


def test_check_and_print_ddl_know_partitions(consumer, topics, database):
    topic = topics.create()
    config = {**CONFIG, "topic": topic, "create_table": True,
              "partitions": {"by": "day", "ahead": 2, "column": "at"}}
    daemon = consumer(config, start=False)
    code, said = daemon.run("--check")
    assert code == 0, said
    assert 'PARTITION BY RANGE ("at")' in said
    assert f"partitions would be made: public.t_p{day(0):%Y%m%d}" in said
    assert database.query("SELECT FROM pg_class WHERE relname = 't'") == []
    database.query(daemon.run("print-ddl", "--role", "sluice")[1])
    assert partitions(database) == days(0, 1, 2)
    code, said = daemon.run("--check")
    assert code == 0 and "would be made" not in said, said
    database.query("ALTER TABLE t RENAME at TO x;ALTER TABLE t ADD at"
                   " timestamptz")
    code, said = daemon.run("--check")
    assert code == 1 and 'is partitioned by column "x"' in said, said


def test_daemons_make_one_partition_once(consumer, topics, database):
    """All at the same time, each with rows of the same days."""
    database.query(TABLE)
    topic = topics.create(partitions=4)
    daemons = [consumer({**CONFIG, "topic": topic}, start=False)
               for _ in range(3)]
    for daemon in daemons:
        daemon.start()
    for daemon in daemons:
        daemon.wait_healthy()
    for round_ in range(4):
        topics.produce(topic, [(None, record(n, day(-n - 6 * round_)), part)
                               for n in range(6) for part in range(4)])
        wait_for(lambda: database.try_count("t") == 24 * (round_ + 1), 30,
                 "rows")
    assert partitions(database) == days(*range(-23, 3))
    for daemon in daemons:
        assert "holding" not in daemon.log()


@pytest.mark.parametrize("point", ["after-partition", "before-commit"])
def test_a_killed_daemon_leaves_no_half_partition(consumer, topics, database,
                                                  point):
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, [record(n, day(-n)) for n in range(5)])
    daemon = consumer({**CONFIG, "topic": topic}, program=TEST_CONSUMER,
                      SLUICE_TEST_STOP=point, SLUICE_TEST_SIGNAL="KILL")
    wait_for(lambda: not daemon.alive(), 20, "killed")
    assert database.value("SELECT count(*) FROM t") == 0
    assert partitions(database) == days(*range(-4, 3))
    assert database.query("SELECT relname FROM pg_class WHERE relname LIKE"
                          " 't_p%%' AND NOT relispartition") == []
    other = consumer({**CONFIG, "topic": topic})
    wait_for(lambda: database.try_count("t") == 5, 30, "rows")
    other.stop()
    other.verify()


def test_a_lock_is_waited_for_and_readers_go_on(consumer, topics, database):
    """Another ALTER TABLE has the table: the daemon waits a while, tries
    again, and readers do not stand behind it."""
    database.query(TABLE)
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}).wait_healthy()
    reader = database.begin("SELECT count(*) FROM t")
    topics.produce(topic, [record(1, day(-1))])
    wait_for(lambda: database.try_count("t") == 1, 20, "the first row")
    reader.rollback()
    other = database.begin("LOCK TABLE ONLY t IN SHARE UPDATE EXCLUSIVE MODE")
    topics.produce(topic, [record(2, day(-2))])
    wait_for(database.waits, 20, "the daemon waits")
    assert database.value("SELECT count(*) FROM t") == 1
    daemon.wait_log("lock timeout")
    other.rollback()
    wait_for(lambda: database.try_count("t") == 2, 30, "the second row")
    assert "holding" not in daemon.log()


def test_partitions_are_made_as_time_goes(consumer, topics, database):
    """A minute is a second here; a dropped one is one that is not there yet."""
    database.query(TABLE)
    topic = topics.create()
    consumer({**CONFIG, "topic": topic}, program=TEST_CONSUMER,
             SLUICE_TEST_TIMES="60")
    wait_for(lambda: partitions(database) == days(0, 1, 2), 20, "partitions")
    database.query(f"DROP TABLE t_p{day(2):%Y%m%d}")
    number = 0

    def again():
        nonlocal number
        number += 1
        topics.produce(topic, [record(number, day(0))])
        return partitions(database) == days(0, 1, 2)

    wait_for(again, 20, "the partition", pause=0.3)


def test_a_partition_has_what_its_table_has(consumer, topics, database):
    """Names that need quotes and are long; indexes, defaults, checks, a
    foreign key, a generated column."""
    name = "Ü\"" + "x" * 58
    quoted = '"' + name.replace('"', '""') + '"'
    database.query("CREATE TABLE other (id integer PRIMARY KEY);"
                   "INSERT INTO other VALUES (1)")
    database.query(
        f"CREATE TABLE {quoted} (id integer REFERENCES other CHECK (id > 0),"
        " at timestamptz, n integer DEFAULT 7, m integer GENERATED ALWAYS AS"
        " (id * 2) STORED, gone text, PRIMARY KEY (id, at))"
        " PARTITION BY RANGE (at)")
    database.query(f"ALTER TABLE {quoted} DROP gone")
    topic = topics.create()
    topics.produce(topic, [record(1, day(-1)), record(2, day(-1)),
                           record(-1, day(-1))])
    daemon = consumer({**CONFIG, "topic": topic, "table": [name],
                       "dead_letters": {"hold_above": 1}})
    wait_for(lambda: database.try_count("sluice.dead_letters") == 2, 40,
             "dead letters")
    assert database.query(f"SELECT id, n, m FROM {quoted}") == [(1, 7, 2)]
    part = database.value("SELECT relname FROM pg_class JOIN pg_inherits ON"
                          " inhrelid = oid WHERE relname LIKE %s",
                          f"%_p{day(-1):%Y%m%d}")
    assert len(part.encode()) in (62, 63) and part.startswith('Ü"xx')
    assert "holding" not in daemon.log()


def test_more_partitions_than_one_transaction_makes(consumer, topics,
                                                    database):
    database.query(TABLE)
    topic = topics.create()
    topics.produce(topic, [record(n, NOW - datetime.timedelta(hours=n))
                           for n in range(230)])
    daemon = consumer({**CONFIG, "topic": topic, "partitions": {
        "by": "hour", "ahead": 20, "behind": 300}})
    wait_for(lambda: database.try_count("t") == 230, 60, "rows")
    wait_for(lambda: len(partitions(database)) in (250, 251), 30, "all")
    assert "holding" not in daemon.log()


@pytest.mark.parametrize("more, said", [
    ({"create_table": True}, '"create_table" needs "partitions.column"'),
    ({"partitions": {"by": "day", "column": "x"}, "create_table": True},
     'is not in "columns"'),
    ({"partitions": {"by": "day", "column": "id"}, "create_table": True},
     "needs the type date"),
    ({"partitions": {"by": "day", "column": "at"}, "create_table": True,
      "mode": "upsert", "key": ["id"]}, '"key" needs "partitions.column"'),
    ({"partitions": {"by": "day", "column": "at"}, "create_table": True,
      "columns": {**CONFIG["columns"], "n": {"generated": "identity"}}},
     "identity"),
    ({"partitions": {"by": "year"}}, "must be one of hour|day|week|month"),
    ({"partitions": {}}, 'key "partitions.by" is missing'),
    ({"partitions": {"by": "hour", "column": "at"}, "columns": {
        "at": {"path": "/at", "type": "date"}}}, "a date has no hours"),
    ({"partitions": {"by": "day", "ahead": 1001}}, "between 0 and 1000"),
])
def test_what_cannot_be_is_refused(consumer, more, said):
    daemon = consumer({**CONFIG, "topic": "x", **more}, start=False)
    code, words = daemon.run("--check")
    assert code == 78 and said in words, words
