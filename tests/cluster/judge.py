"""Compares what the clients were answered with what is in PostgreSQL.

Both go into a file of SQLite, so that a million records need no memory.  A
rule is a statement that finds the records which break an invariant; the
invariants are those of docs/explanation/campaign.md.
"""

import itertools
import json
import sqlite3
import tempfile

from tests.lib.history import RANGES, Event, check_order

SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE sent (id TEXT PRIMARY KEY, kind, key, digest, start REAL,
    end REAL, status INTEGER, outcome, part INTEGER, off INTEGER,
    tries INTEGER) WITHOUT ROWID;
CREATE TABLE place (id TEXT NOT NULL, digest, part INTEGER, off INTEGER,
    dead INTEGER);
CREATE TABLE kept (part INTEGER PRIMARY KEY, next INTEGER);
CREATE TABLE counted (part INTEGER, first INTEGER, next INTEGER, kind,
    records INTEGER);
"""
INDEXES = """
CREATE INDEX IF NOT EXISTS place_id ON place (id);
CREATE INDEX IF NOT EXISTS place_off ON place (part, off);
"""

# what is wrong, the invariant, and the records it is wrong with
RULES = (
    ("untruthful", 2, """
        SELECT id, status FROM sent WHERE outcome = 'untruthful'"""),
    ("lost", 1, """
        SELECT id, part, off, end FROM sent WHERE outcome = 'ok'
        AND id NOT IN (SELECT id FROM place)"""),
    ("doubled", 1, """
        SELECT id, count(*), group_concat(part || '/' || off) FROM place
        GROUP BY id HAVING count(*) > 1"""),
    ("other bytes", 1, """
        SELECT sent.id, place.part, place.off FROM sent JOIN place USING (id)
        WHERE sent.digest <> place.digest"""),
    ("not where the answer said", 1, """
        SELECT sent.id, sent.part, sent.off, place.part, place.off
        FROM sent JOIN place USING (id) WHERE outcome = 'ok'
        AND sent.off IS NOT NULL
        AND (sent.part, sent.off) <> (place.part, place.off)"""),
    ("a dead letter for a row, or a row for one", 1, """
        SELECT id, place.part, place.off FROM sent JOIN place USING (id)
        WHERE dead <> (kind = 'bad')"""),
    ("refused, yet there", 2, """
        SELECT id, status, tries FROM sent WHERE outcome = 'fail'
        AND id IN (SELECT id FROM place)"""),
    ("ghosts", 2, """
        SELECT id, part, off FROM place
        WHERE id NOT IN (SELECT id FROM sent)"""),
    ("offsets stored twice", 4, """
        SELECT part, off, group_concat(id) FROM place GROUP BY part, off
        HAVING count(*) > 1"""),
    ("stored beyond the kept offset", 4, """
        SELECT id, part, off, next FROM place LEFT JOIN kept USING (part)
        WHERE off >= coalesce(next, 0)"""),
    ("stored in a gap", 4, """
        SELECT id, place.part, off FROM counted JOIN place
        ON place.part = counted.part AND off >= first AND off < next
        WHERE counted.kind = 'gap'"""),
    ("unaccounted", 4, """
        SELECT part, next, places, gaps FROM (SELECT part, next,
            (SELECT count(*) FROM place WHERE place.part = kept.part)
                AS places,
            (SELECT coalesce(sum(counted.next - first), 0) FROM counted
                WHERE counted.part = kept.part AND kind = 'gap') AS gaps
            FROM kept)
        WHERE places + gaps <> next"""),
    ("sluice.batches counts otherwise", 4, """
        SELECT part, counts, places FROM (SELECT part,
            (SELECT coalesce(sum(records), 0) FROM counted
                WHERE counted.part = kept.part AND kind <> 'gap') AS counts,
            (SELECT count(*) FROM place WHERE place.part = kept.part)
                AS places FROM kept)
        WHERE counts <> places"""),
)
SHOWN = 5               # records of each fault that are named


class Judge:
    def __init__(self, file=":memory:"):
        self.base = sqlite3.connect(file)
        self.base.executescript(SCHEMA)

    def _fill(self, table, rows):
        rows = iter(rows)
        first = next(rows, None)
        if first is not None:
            self.base.executemany(
                f"INSERT INTO {table} VALUES ({','.join('?' * len(first))})",
                itertools.chain([first], rows))
        self.base.commit()

    def sent(self, lines):
        """Lines of the clients' files."""
        self._fill("sent", ([field or None for field
                             in line.rstrip("\n").split("\t")]
                            for line in lines))

    def places(self, rows):
        """id, MD5 of the bytes, partition, offset, whether a dead letter."""
        self._fill("place", rows)

    def kept(self, rows):
        """The next offset of each partition."""
        self._fill("kept", rows)

    def counted(self, rows):
        """Ranges of sluice.batches: partition, first and next offset, kind
        ("gap" or "records"), records with a row or a dead letter."""
        self._fill("counted", rows)

    def faults(self, growths=0):
        """What is wrong: invariant, what, how often, the first of them.
        growths: how often partitions were added."""
        self.base.executescript(INDEXES)
        found = []
        for what, invariant, sql in RULES:
            cursor = self.base.execute(sql)
            first = cursor.fetchmany(SHOWN)
            if first:
                count = len(first) + sum(1 for _ in cursor)
                found.append((invariant, what, count, first))
        return found + self._order(growths)

    def _order(self, growths):
        """Of one key and partition; a key has another partition where the
        topic has grown."""
        found = []
        cursor = self.base.execute(
            "SELECT key, part, id, start, end, off FROM sent WHERE outcome ="
            " 'ok' AND key IS NOT NULL AND off IS NOT NULL ORDER BY key")
        for key, rows in itertools.groupby(cursor, lambda row: row[0]):
            rows = list(rows)
            parts = {row[1] for row in rows}
            if len(parts) > growths + 1:
                found.append((3, "key in too many partitions", 1,
                              [(key, sorted(parts))]))
            try:
                check_order([
                    Event(ident, f"{key} in {part}", b"", start, end, 200,
                          "ok", part, off)
                    for _, part, ident, start, end, off in rows])
            except AssertionError as failure:
                found.append((3, "order", 1, [(key, str(failure))]))
        return found

    def figures(self):
        """Records by kind and outcome, and by what became of them."""
        def table(sql):
            return self.base.execute(sql).fetchall()
        return {
            "outcomes": table("SELECT kind, outcome, count(*) FROM sent"
                              " GROUP BY kind, outcome ORDER BY 1, 2"),
            "stored": table(
                "SELECT outcome, sum(id IN (SELECT id FROM place)),"
                " count(*) FROM sent GROUP BY outcome ORDER BY 1"),
            "again": table("SELECT count(*) FROM sent WHERE tries > 1")[0][0],
            "dead": table("SELECT count(*) FROM place WHERE dead")[0][0],
            "pause": table(
                "SELECT max(later - end) FROM (SELECT end, lead(end)"
                " OVER (ORDER BY end) AS later FROM sent"
                " WHERE outcome = 'ok')")[0][0] or 0.0,
        }


def read_database(judge, connection, topic, group, table):
    """The table has the columns id, body (the bytes), part and off."""
    with connection.cursor() as cursor, tempfile.TemporaryFile() as copy:
        cursor.copy_expert(
            f"COPY (SELECT id, md5(body), part, off FROM {table}) TO STDOUT",
            copy)
        copy.seek(0)
        judge.places((*line.decode().rstrip("\n").split("\t"), 0)
                     for line in copy)
        which = " WHERE topic = %s AND group_id = %s"
        cursor.execute(
            'SELECT convert_from(value, \'UTF8\'), md5(value), partition,'
            ' "offset" FROM sluice.dead_letters' + which, (topic, group))
        judge.places([(ident_of(value), *rest, 1)
                      for value, *rest in cursor.fetchall()])
        cursor.execute("SELECT partition, next_offset FROM sluice.offsets"
                       + which, (topic, group))
        judge.kept(cursor.fetchall())
        cursor.execute(
            "SELECT partition, f, n, kind, CASE WHEN kind = 'gap' THEN 0"
            " ELSE records - filtered - duplicates END"
            f" FROM {RANGES}" + which, (topic, group))
        judge.counted(cursor.fetchall())


def ident_of(value):
    try:
        return str(json.loads(value)["id"])
    except (ValueError, KeyError, TypeError):
        return f"not ours: {value[:60]}"


def told(found):
    """What is wrong, for people."""
    return "\n".join(
        f"invariant {invariant}: {what}: {count}\n" + "\n".join(
            f"    {' '.join(map(str, one))}" for one in first)
        for invariant, what, count, first in found)
