"""A role that may create objects beside Sluice's never runs code with the
rights of another: neither of the daemon's role nor of the administrator."""

import json

import psycopg2
import pytest

from tests.consumer.test_tools import transaction
from tests.lib.database import Database
from tests.lib.env import wait_for
from tests.lib.lookalikes import Hostile, Log, Names

COLUMNS = {
    "id": {"path": "/id", "type": "integer"},
    "v": {"path": "/v", "type": "text"},
    "ver": {"path": "/ver", "type": "timestamptz"},
    "doc": {"path": "/doc", "type": "jsonb"},
    "part": {"meta": "partition", "type": "integer"},
    "off": {"meta": "offset", "type": "bigint"},
}
TABLE = ("CREATE TABLE %s (id integer PRIMARY KEY, v text DEFAULT 'x',"
         " ver timestamptz, doc jsonb, part integer, off bigint)")
CONFIG = {
    "group": "g", "start": "earliest", "batch": {"linger": "5ms"},
    "dead_letters": {"hold_above": 1, "keep": "1h"},
    "dedupe": {"header": "k"}, "columns": COLUMNS}
KINDS = {
    "append": {"table": "t", "create_table": True, "evolve": "add"},
    "upsert": {"table": "app.u", "mode": "upsert_delete", "key": ["id"],
               "newer": "ver"},
    "ignore": {"table": "app.i", "mode": "ignore", "key": ["id"]},
    "auto": {"table": "app.a", "columns": "auto"},
}
EVIL = ("CREATE FUNCTION public.evil() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE LOG 'look-alike evil called as %', current_user;"
        " RETURN NEW; END$$")
SPAN = ["--from", "2026-01-01T00:00:00Z", "--to", "2036-12-31T00:00:00Z"]


def event(ident, bad=False, **more):
    return json.dumps({"id": "x" if bad else ident, "v": "v",
                       "ver": "2026-01-01T00:00:00Z", "doc": {"a": 1}, **more})


class World:
    """A database with a daemon's role, an administrator and a hostile role,
    who may create objects in every schema that the others look into."""

    def __init__(self, postgres, database, consumer, topics):
        self.postgres, self.database = postgres, database
        self.consumer, self.topics = consumer, topics
        self.daemon, self.admin, self.hostile = (database.role()
                                                 for _ in range(3))
        self.query = database.query
        self.log = Log(postgres)
        self.query("SET search_path = pg_catalog")
        self.query(f'ALTER ROLE "{self.admin}" SUPERUSER')
        self.query(f'CREATE SCHEMA "{self.daemon}"; CREATE SCHEMA app')
        self.query(f'GRANT CREATE, USAGE ON SCHEMA public, app,'
                   f' "{self.daemon}" TO "{self.hostile}"')
        self.query(f'GRANT USAGE ON SCHEMA app, "{self.daemon}" TO PUBLIC')
        for table in "uia":
            self.query(TABLE % f"app.{table}")
        for role in (self.daemon, self.admin):
            # what PostgreSQL has itself is found last
            self.setting(role, "search_path",
                         f'"{self.daemon}", public, app, pg_catalog')
            self.setting(role, "log_statement", "'all'")
        self.setting(self.hostile, "search_path", "pg_catalog")

    def setting(self, role, name, value):
        self.query(f'ALTER ROLE "{role}" IN DATABASE "{self.database.name}"'
                   f" SET {name} = {value}")

    def connect(self, role):
        return self.postgres.connect(self.database.name, role)

    def schema(self, place):
        return self.daemon if place == "user" else place

    def daemon_of(self, topic, kind, role=None, **more):
        return self.consumer(
            {**CONFIG, **KINDS[kind], "topic": topic, **more}, start=False,
            conninfo=self.postgres.conninfo(self.database.name,
                                            role or self.daemon))

    def told(self, daemon, *words):
        code, said = daemon.run(*words)
        assert code == 0, (words, said)
        return said

    def setup(self, daemon):
        return self.told(daemon, "setup", "--role", self.daemon, "--admin",
                         f"user={self.admin}")

    def stored(self, topic, count):

        wait_for(lambda: self.query(
            "SELECT 1 FROM sluice.offsets WHERE topic = %s AND next_offset >="
            " %s AND owner <> ''", topic, count), 30,
                 f"{count} records of {topic}")


@pytest.fixture
def world(postgres, database, consumer, topics):
    return World(postgres, database, consumer, topics)


def everything(world, between=None):
    """Each command and each way of storing rows, by the daemon's role or by
    the administrator."""
    for kind in KINDS:
        topic = world.topics.create()
        daemon = world.daemon_of(topic, kind)
        admin = world.daemon_of(topic, kind, world.admin,
                                listen=f"127.0.0.1:{daemon.port}")
        world.told(daemon, "print-ddl")
        world.setup(daemon)
        if between:
            between()
            between = None
        world.query(f'GRANT SELECT, INSERT ON sluice.audit TO'
                    f' "{world.daemon}"; GRANT SELECT ON ALL TABLES IN SCHEMA'
                    f' app, "{world.daemon}" TO "{world.daemon}"')
        said = daemon.run("--check")[1]
        assert "It would run" in said, said
        assert "It would run" in admin.run("--check")[1]
        key = [("k", b"1")]
        world.topics.produce(topic, [
            ("1", event(1), 0, key), ("2", event(2)), ("3", event(3, True)),
            ("1", event(1, v="w")), ("2", event(2))])
        daemon.start()
        world.stored(topic, 5)
        transaction(world.topics, topic, 1)
        world.topics.produce(topic, [
            ("1", event(1), 0, key), ("4", event(4)), ("5", event(5, True)),
            *([("2", None)] if kind == "upsert" else [("6", event(6))])])
        world.stored(topic, 11)
        daemon.stop()
        for who in (daemon, admin):
            for words in (["offsets", "show"], ["lag"], ["verify"],
                          ["where", f"{topic}/0/1"],
                          ["dead-letters", "list"],
                          ["dead-letters", "show", "1"]):
                world.told(who, *words)
        world.told(admin, "verify", "--json")
        code, said = daemon.run("dead-letters", "replay", "--all")
        assert code == 1 and "stay" in said, said
        world.told(admin, "dead-letters", "purge", "--all")
        world.told(admin, "offsets", "reset", "--to-earliest",
                   "--allow-duplicates")
        daemon.start()
        world.stored(topic, 11)
        daemon.stop()
        world.query(f"CREATE TABLE app.r_{kind} (LIKE app.u INCLUDING ALL)")
        world.query(f'GRANT ALL ON app.r_{kind} TO "{world.daemon}"')
        world.told(admin, "replay", "--into", f"app.r_{kind}", *SPAN)


@pytest.fixture(scope="module")
def known():
    return {}


@pytest.fixture
def names(known, postgres, consumer, topics, directory):
    """PostgreSQL's own in all that Sluice sends, from the log of a run."""
    if "names" not in known:
        database = Database(postgres)
        try:
            world = World(postgres, database, consumer, topics)
            log = Log(postgres)
            everything(world)
            known["names"] = Names(database, log.text())
        finally:
            database.drop()
    return known["names"]


@pytest.mark.parametrize("place, when", [
    ("user", "before"), ("public", "after"), ("app", "before")])
def test_look_alikes_are_never_called(world, names, place, when):
    assert len(names.functions) > 150 and len(names.operators) > 400
    log = Log(world.postgres)
    hostile = Hostile(world.connect(world.hostile), world.schema(place))

    def make():
        hostile.everything(names)
        assert hostile.made > 1000, hostile.refused

    if when == "before":
        make()
    everything(world, make if when == "after" else None)
    assert not log.calls((world.daemon, world.admin)), \
        log.calls((world.daemon, world.admin))


# what stands in the way before "setup": by whom, and what is said of it
BEFORE = {
    "a schema": ("hostile", "CREATE SCHEMA sluice",
                 'it belongs to role "{hostile}"'),
    "a schema with tables": (
        "hostile", "CREATE SCHEMA sluice; CREATE TABLE sluice.offsets (x"
        " text DEFAULT pg_catalog.version()); CREATE VIEW sluice.meta AS"
        " SELECT 3 AS version", 'it belongs to role "{hostile}"'),
    "a right to create": (
        "admin", 'CREATE SCHEMA sluice; GRANT CREATE ON SCHEMA sluice TO'
        ' "{hostile}"', 'role "{hostile}" may create objects in it'),
    "a right of all": (
        "admin", "CREATE SCHEMA sluice; GRANT CREATE ON SCHEMA sluice TO"
        " PUBLIC", "PUBLIC may create objects in it"),
    "a table": (
        "admin", "CREATE SCHEMA sluice; CREATE TABLE sluice.seen (x text);"
        ' ALTER TABLE sluice.seen OWNER TO "{hostile}"',
        'seen belongs to role "{hostile}"'),
    "a function": (
        "admin", "CREATE SCHEMA sluice; CREATE FUNCTION sluice.verify()"
        " RETURNS text LANGUAGE sql AS 'SELECT 1::text'; ALTER FUNCTION"
        ' sluice.verify() OWNER TO "{hostile}"',
        'function sluice.verify() belongs to role "{hostile}"'),
    "a view": ("admin", "CREATE SCHEMA sluice; CREATE VIEW sluice.batches"
               " AS SELECT 1", "batches is no table"),
}

# what comes later, by an administrator's fault
AFTER = {
    "a trigger": (
        'GRANT TRIGGER ON sluice.offsets TO "{hostile}"',
        "CREATE TRIGGER evil BEFORE INSERT OR UPDATE ON sluice.offsets FOR"
        " EACH ROW EXECUTE FUNCTION public.evil()",
        'trigger "evil" of offsets runs a function of role "{hostile}"'),
    "a right to triggers": (
        'GRANT ALL ON sluice.dead_letters TO "{hostile}"', None,
        'role "{hostile}" may create triggers on dead_letters'),
    "a table": ('ALTER TABLE sluice.batches OWNER TO "{hostile}"', None,
                'batches belongs to role "{hostile}"'),
    "a rule": ("CREATE RULE r AS ON UPDATE TO sluice.offsets DO INSTEAD"
               " NOTHING", None, 'rule "r" changes offsets'),
    "an heir": ("CREATE TABLE public.heir () INHERITS (sluice.seen)", None,
                "seen has an heir"),
    "row security": (
        "ALTER TABLE sluice.offsets ENABLE ROW LEVEL SECURITY", None,
        'row-level security of offsets applies to role "{daemon}"'),
}

TOOLS = (["offsets", "show"], ["lag"], ["verify"], ["where", "%s/0/0"],
         ["dead-letters", "list"], ["dead-letters", "replay", "--all"],
         ["dead-letters", "purge", "--all"],
         ["skip", "%s/0/0", "--to", "dead-letters"],
         ["offsets", "reset", "--to-earliest"],
         ["replay", "--into", "app.i", *SPAN])


def refused(daemon, why, topic, *words):
    code, said = daemon.run(*[word.replace("%s", topic) for word in words])
    assert code == 1 and why in said, (words, said)


@pytest.mark.parametrize("what", BEFORE)
def test_setup_refuses_what_stands_in_the_way(world, what):
    maker, sql, why = BEFORE[what]
    world.query(f'GRANT CREATE ON DATABASE "{world.database.name}" TO'
                f' "{world.hostile}"')
    with world.connect(getattr(world, maker)).cursor() as cursor:
        cursor.execute(sql.format(**vars(world)))
    topic = world.topics.create()
    daemon = world.daemon_of(topic, "ignore")
    why = 'schema "sluice": ' + why.format(**vars(world))
    refused(daemon, why, topic, "setup", "--admin", f"user={world.admin}")
    refused(daemon, why, topic, "--check")
    for words in TOOLS[:3]:
        refused(daemon, why, topic, *words)
    assert why in daemon.start().wait_held()["reason"]
    # the way out
    daemon.stop()
    world.query("DROP SCHEMA sluice CASCADE")
    world.setup(daemon)
    daemon.start().wait_healthy()


@pytest.mark.parametrize("what", AFTER)
def test_a_schema_that_others_can_change_holds(world, what):
    fault, crime, why = AFTER[what]
    log = Log(world.postgres)
    topic = world.topics.create()
    daemon = world.daemon_of(topic, "ignore")
    world.setup(daemon)
    world.query(fault.format(**vars(world)))
    if crime:
        world.query(f'GRANT USAGE ON SCHEMA sluice TO "{world.hostile}"')
        with world.connect(world.hostile).cursor() as cursor:
            cursor.execute(EVIL)
            cursor.execute(crime)
    why = 'schema "sluice": ' + why.format(**vars(world))
    for words in TOOLS:
        refused(daemon, why, topic, *words)
    refused(daemon, why, topic, "--check")
    if what != "row security":
        # it never applies to a superuser
        refused(daemon, why, topic, "setup", "--admin",
                f"user={world.admin}")
    world.topics.produce(topic, [event(1)])
    assert why in daemon.start().wait_held()["reason"]
    assert world.database.try_count("app.i") == 0
    assert not log.calls((world.daemon, world.admin))


@pytest.mark.parametrize("more", [
    {"table": "t"}, {"table": "t", "create_table": True},
    {"table": "public.t", "create_table": True}])
@pytest.mark.parametrize("kind", ["table", "view"])
def test_a_table_of_another_role_in_the_way_is_refused(world, more, kind):
    """Its trigger would run with the rights of the daemon's role."""
    log = Log(world.postgres)
    schema = "public" if "." in more["table"] else f'"{world.daemon}"'
    with world.connect(world.hostile).cursor() as cursor:
        cursor.execute(EVIL)
        cursor.execute(TABLE % f"{schema}.real")
        cursor.execute(f"CREATE VIEW {schema}.t AS SELECT * FROM"
                       f" {schema}.real" if kind == "view" else
                       f"ALTER TABLE {schema}.real RENAME TO t")
        when = "INSTEAD OF" if kind == "view" else "BEFORE"
        cursor.execute(f"CREATE TRIGGER evil {when} INSERT ON {schema}.t"
                       " FOR EACH ROW EXECUTE FUNCTION public.evil()")
        cursor.execute(f"GRANT ALL ON {schema}.t TO PUBLIC")
    topic = world.topics.create()
    daemon = world.daemon_of(topic, "append", **{"evolve": "hold",
                                                 "create_table": False,
                                                 **more})
    why = (f'.t belongs to role "{world.hostile}", whose code would run with'
           f' the rights of role "{world.daemon}"')
    refused(daemon, why, topic, "setup", "--admin", f"user={world.admin}")
    world.setup(world.daemon_of(topic, "ignore"))
    refused(daemon, why, topic, "--check")
    world.topics.produce(topic, [event(1)])
    assert why in daemon.start().wait_held()["reason"]
    assert not log.calls((world.daemon, world.admin))
    daemon.stop()
    # whoever means that table says so
    schema = schema.strip('"')
    daemon = world.daemon_of(topic, "append", evolve="hold",
                             create_table=False, table=f"{schema}.t")
    world.setup(daemon)
    assert "It would run" in daemon.run("--check")[1]


def test_what_a_role_cannot_do_at_all(world):
    """PostgreSQL refuses it, so nobody has to look for it."""
    topic = world.topics.create()
    world.setup(world.daemon_of(topic, "append"))
    world.query(f'GRANT USAGE ON SCHEMA sluice TO "{world.hostile}"')
    with world.connect(world.hostile).cursor() as cursor:
        cursor.execute("CREATE FUNCTION public.evil() RETURNS event_trigger"
                       " LANGUAGE plpgsql AS 'BEGIN END'")
        cursor.execute("CREATE FUNCTION public.cast(bigint) RETURNS text"
                       " LANGUAGE sql AS 'SELECT 1::text'")
        for sql in (
                "CREATE EVENT TRIGGER evil ON ddl_command_start"
                " EXECUTE FUNCTION public.evil()",
                "CREATE CAST (bigint AS text) WITH FUNCTION"
                " public.cast(bigint) AS IMPLICIT",
                "CREATE FUNCTION pg_catalog.now(text) RETURNS text LANGUAGE"
                " sql AS 'SELECT 1::text'",
                "CREATE TABLE sluice.more (x text)",
                "CREATE TABLE public.heir () INHERITS (sluice.offsets)",
                "CREATE RULE r AS ON INSERT TO sluice.seen DO INSTEAD NOTHING",
                "CREATE TRIGGER t BEFORE INSERT ON sluice.seen FOR EACH ROW"
                " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
                "CREATE POLICY p ON sluice.offsets",
                f'CREATE TRIGGER t BEFORE INSERT ON "{world.daemon}".t FOR'
                " EACH ROW EXECUTE FUNCTION"
                " suppress_redundant_updates_trigger()"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(sql)


def test_an_owner_who_may_be_the_role_is_trusted(world):
    """A database's owner, and who is a member of the daemon's role."""
    topic = world.topics.create()
    daemon = world.daemon_of(topic, "ignore", world.daemon)
    world.setup(daemon)
    for grant in (f'ALTER DATABASE "{world.database.name}" OWNER TO'
                  f' "{world.hostile}"',
                  f'ALTER DATABASE "{world.database.name}" OWNER TO'
                  f' "{world.admin}"; GRANT "{world.daemon}" TO'
                  f' "{world.hostile}"'):
        world.query(grant)
        world.query(f'ALTER SCHEMA sluice OWNER TO "{world.hostile}"')
        world.query(f'ALTER TABLE sluice.offsets OWNER TO "{world.hostile}"')
        assert "It would run" in daemon.run("--check")[1]
        world.told(daemon, "offsets", "show")
        # a superuser trusts nobody but superusers
        refused(daemon, "belongs to", topic, "setup", "--admin",
                f"user={world.admin}")


@pytest.mark.parametrize("mode", ["append", "ignore", "upsert",
                                  "upsert_delete"])
def test_the_users_own_code_finds_what_it_found(world, mode):
    """Triggers, defaults and constraints that name functions without their
    schemas, by the role's search_path."""
    world.setting(world.daemon, "search_path", "app, public")
    world.query("""
        CREATE TABLE app.seen_by (who text, what text);
        GRANT INSERT ON app.seen_by TO PUBLIC;
        CREATE FUNCTION app.stamp(x text) RETURNS text LANGUAGE plpgsql
            AS $$BEGIN RETURN 'stamped ' || x; END$$;
        CREATE FUNCTION app.indirect() RETURNS text LANGUAGE plpgsql
            AS $$BEGIN RETURN stamp('default'); END$$;
        CREATE FUNCTION app.before() RETURNS trigger LANGUAGE plpgsql
            AS $$BEGIN NEW.v = stamp(NEW.v); RETURN NEW; END$$;
        CREATE FUNCTION app.later() RETURNS trigger LANGUAGE plpgsql
            AS $$BEGIN INSERT INTO seen_by VALUES (stamp(''), TG_OP);
            RETURN NULL; END$$;
        ALTER TABLE app.i ADD made text DEFAULT app.indirect();
        CREATE TRIGGER t BEFORE INSERT OR UPDATE ON app.i FOR EACH ROW
            EXECUTE FUNCTION app.before();
        CREATE CONSTRAINT TRIGGER l AFTER INSERT ON app.i DEFERRABLE
            INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.later()
        """)
    topic = world.topics.create()
    key = {} if mode == "append" else {"key": ["id"]}
    daemon = world.consumer(
        {**CONFIG, "table": "i", "topic": topic, "mode": mode, **key},
        start=False,
        conninfo=world.postgres.conninfo(world.database.name, world.daemon))
    world.query(f'ALTER ROLE "{world.admin}" IN DATABASE'
                f' "{world.database.name}" RESET ALL')
    world.setup(world.daemon_of(topic, "ignore", mode="upsert_delete"))
    said = daemon.run("--check")[1]
    assert "It would run" in said and '"i", which is app.i' in said
    world.topics.produce(topic, [("1", event(1)), ("2", event(2)),
                                 ("3", event(3, True)), ("4", event(4))])
    daemon.start()
    world.stored(topic, 4)
    assert world.query("SELECT id, v, made FROM app.i ORDER BY id") == [
        (n, "stamped v", "stamped default") for n in (1, 2, 4)]
    assert world.query("SELECT DISTINCT * FROM app.seen_by") == [
        ("stamped ", "INSERT")]
    world.told(daemon, "verify", "--ranges-only")


@pytest.mark.parametrize("domain", [False, True])
def test_a_key_of_the_users_own_type(world, domain):
    """Rows meet by the type's own operators, in a schema that search_path
    does not have, and in which a hostile role may create others."""
    log = Log(world.postgres)
    kind = "ext.own" if domain else "ext.citext"
    world.query("CREATE SCHEMA ext; SET search_path = ext, pg_catalog;"
                " CREATE EXTENSION citext SCHEMA ext; CREATE DOMAIN ext.own AS"
                f" ext.citext; CREATE TABLE app.c (id {kind} PRIMARY KEY,"
                f" v text, ver {kind}); SET search_path = pg_catalog")
    world.query(f'GRANT CREATE, USAGE ON SCHEMA ext TO "{world.hostile}"')
    world.query("GRANT USAGE ON SCHEMA ext TO PUBLIC")
    hostile = Hostile(world.connect(world.hostile), "public")
    for schema in ("public", "ext") if domain else ("public",):
        hostile.schema = schema
        for sign in ("=", ">=", "<", ">", "<>"):
            name = f"operator_{next(hostile.numbers)}"
            assert hostile.function(name, [kind, kind], "boolean",
                                    f"{kind} {sign} {kind}")
            assert hostile.make(
                f"CREATE OPERATOR {schema}.{sign} (LEFTARG = {kind},"
                f" RIGHTARG = {kind}, FUNCTION = {schema}.{name})")
    topic = world.topics.create()
    daemon = world.consumer(
        {**CONFIG, "table": "app.c", "topic": topic, "mode": "upsert_delete",
         "key": ["id"], "newer": "ver",
         "columns": {"id": "/id", "v": "/v", "ver": "/ver"}}, start=False,
        conninfo=world.postgres.conninfo(world.database.name, world.daemon))
    world.setup(daemon)
    daemon.start()

    def sent(*records):
        world.topics.produce(topic, records)
        world.stored(topic, world.topics.count(topic))

    def row(ident, v, ver):
        return (ident, json.dumps({"id": ident, "v": v,
                                               "ver": ver}))

    sent(row("a", "1", "b"), row("B", "1", "b"), row("c", "1", "b"))
    sent(row("A", "2", "A"), row("b", "2", "B"))
    assert world.query("SELECT id::text, v FROM app.c ORDER BY 1") == [
        ("B", "2"), ("a", "1"), ("c", "1")]
    sent(("C", None), row("d", "1", "b"))
    assert world.query("SELECT v, count(*) FROM app.c GROUP BY 1 ORDER BY 1"
                       ) == [("1", 2), ("2", 1)]
    assert not log.calls((world.daemon, world.admin))
