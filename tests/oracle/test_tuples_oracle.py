"""Rows as tuples against the same rows as lines, of generated values: both
store the same bytes, or both are refused with the same SQLSTATE and message.

SLUICE_SEED=N repeats a run, SLUICE_VALUES=N makes it longer."""

import io
import json
import os
import random
import string
import subprocess

import psycopg2
import pytest

from tests.lib.env import BUILD

SEED = int(os.environ.get("SLUICE_SEED", "20261130"))
VALUES = int(os.environ.get("SLUICE_VALUES", "120"))    # generated, a type
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
PREPARE = """
CREATE TYPE mood AS ENUM ('sad', 'a "b"', '');
CREATE DOMAIN positive AS integer CHECK (value > 5);
CREATE DOMAIN cents AS numeric(10,2) CHECK (value <> 7);
CREATE DOMAIN name5 AS varchar(5);
CREATE DOMAIN two AS integer[] CHECK (cardinality(value) <= 2);
"""
# what the daemon asks of the catalogue, of one type
ASK = """
WITH RECURSIVE b(oid) AS (SELECT %s::regtype::oid UNION
    SELECT typbasetype FROM b JOIN pg_type USING (oid) WHERE typtype = 'd'),
a AS (SELECT coalesce(e.oid, 0) AS element, coalesce(e.oid, t.oid) AS oid
    FROM b JOIN pg_type t USING (oid) LEFT JOIN pg_type e
    ON e.oid = t.typelem AND e.typarray = t.oid WHERE t.typtype <> 'd'),
c(oid, element) AS (SELECT oid, element FROM a UNION
    SELECT typbasetype, element FROM c JOIN pg_type USING (oid)
    WHERE typtype = 'd')
SELECT p.prosrc, element FROM c JOIN pg_type t USING (oid)
    JOIN pg_proc p ON p.oid = t.typreceive WHERE typtype <> 'd'
"""

NUMBERS = ["0", "-0", "+0", "0.0", "-0.00", "00012.500", ".5", "5.", ".", "-",
           "", "1e5", "1E-5", "1e+5", "1e", "1e+", "-1.5e3", "NaN", "nan",
           "-nan", "+nan", "nan(1)", "Infinity", "-infinity", "inf", "+inf",
           "+Infinity", "infinit", "1_000", "0x1F", "0b1", "0o7", " 1", "1 ",
           "1,5", "1.2.3", "--1", "1e1e1", "99999999.99", "99999999.995",
           "-99999999.995", "100000000", "0.005", "0.0049999", "7.001",
           "4.9e-324", "2.4703282292062327e-324", "2e-324", "1e-400",
           "1.7976931348623157e308", "1.7976931348623159e308", "1e400",
           "3.4028235e38", "3.4028236e38", "1e-45", "7e-46", "1.4e-45",
           "16777217", "9007199254740993", "0.1", "0.30000000000000004",
           "9" * 131072, "9" * 131073, "1e131071", "1e131072", "-1e131071",
           "0." + "0" * 16382 + "1", "0." + "0" * 16383 + "1", "1e-16383",
           "1e-16384", "0e-16384", "0e20000", "1e100000", "1e99999999999",
           "0." + "1" * 20000, "123456789" * 30 + "." + "987654321" * 30,
           "1" + "0" * 100, "1" + "0" * 100 + "e-100", "10000", "9999",
           "0.0001", "0.00001", "1000000000000.00000001", "2147483648",
           "-2147483648", "32768", "-32768", "9223372036854775807",
           "9223372036854775808", "-9223372036854775808", "007", "+5", "6"]
CLOCKS = ["00:00:00", "12:34", "12:34:56", "12:34:56.7", "12:34:56.123456",
          "12:34:56.1234565", "12:34:56.1234564999", "12:34:56.999999999",
          "23:59:59.9999999", "23:59:60", "23:59:60.5", "12:00:60", "24:00:00",
          "24:00:00.0", "24:00:00.1", "24:00:01", "24:01", "25:00:00",
          "12:60:00", "12:00:61", "1:2:3", "12", "123456", "12:34:56.",
          "12:34:56,5", "04:05 PM", "040506", "12:34:5", "12::34"]
DATES = ["2000-01-01", "1999-12-31", "2024-02-29", "2023-02-29", "1900-02-29",
         "2000-02-29", "0001-01-01", "0000-01-01", "9999-12-31", "10000-01-01",
         "12024-02-29", "294276-12-31", "294277-01-01", "999999-12-31",
         "5874897-12-31", "5874898-01-01", "4714-11-24", "4714-11-23",
         "4714-10-31", "4713-01-01", "0044-03-15", "0005-02-29", "1582-10-10",
         "2024-13-01", "2024-00-01", "2024-01-00", "2024-04-31", "24-01-02",
         "2024-1-2", "20240102", "2024/01/02", "1/8/1999", "Jan 8, 1999",
         "08.01.1999", "2024-W01-1", "2024.123", "J2451187", "1970-01-01"]
WORDS = ["infinity", "-infinity", "+infinity", "Infinity", "inf", "now",
         "today", "epoch", "allballs", "", "x", "infinity ", "-infinit",
         "infinity BC"]
ZONES = ["Z", "z", "+00", "-00", "+01", "-0130", "+01:30", "+05:30:15",
         "+15:59", "+15:59:59", "-15:59:59", "+16", "+1", "+0:30", "+01:60",
         " UTC", " +02", " America/New_York", "America/New_York", " EST",
         " PST8PDT", "+01 BC", "Z BC", "", " BC"]
UUIDS = ["00112233-4455-6677-8899-aabbccddeeff",
         "00112233-4455-6677-8899-AABBCCDDEEFF",
         "00112233445566778899aabbccddeeff",
         "{00112233-4455-6677-8899-aabbccddeeff}",
         "{00112233445566778899aabbccddeeff}",
         "{00112233-4455-6677-8899-aabbccddeeff",
         "00112233-4455-6677-8899-aabbccddeeff}",
         "0011-2233-4455-6677-8899-aabb-ccdd-eeff",
         "001-12233445566778899aabbccddeeff",
         "00112233-4455-6677-8899-aabbccddeef",
         "00112233-4455-6677-8899-aabbccddeefff",
         "00112233--4455-6677-8899-aabbccddeeff",
         "-00112233445566778899aabbccddeeff",
         "00112233445566778899aabbccddeeff-", "{}", "", "x" * 32,
         " 00112233445566778899aabbccddeeff", "{-}", "{", "}"]
BOOLEANS = ["t", "tr", "tru", "true", "TRUE", "True", "truee", "f", "fa",
            "fals", "false", "y", "yes", "yess", "n", "no", "on", "o", "of",
            "off", "offf", "1", "0", "2", "10", "", " t", "t ", "N", "ON"]
JSON = ["{}", "null", '""', '"a\\u0000b"', '"\\u0000"', '{"a":1,"a":2}',
        '{"b":1,"a":[1.0,1e3,-0,true]}', '"\\ud83d\\ude00"', '"\\ud83d"',
        "", "{", "1 2", '{"a":1e400}', "[1,2", ' {"a" : 1 } ', '"\t"', "NaN",
        '"\\u00e9é"', "1e131072", "[" * 50 + "]" * 50, "01"]
TEXTS = ["", "a", "five5", "sixsix", "six   ", "      ", "é" * 5, "é" * 6,
         "\\N", "\\.", "a\tb\n\\c\r\b\f\v", "sad", "SAD", 'a "b"', "😀"]
BYTES = ["\\x", "\\x00", "\\xff00", "\\x0", "\\x0g", "\\xFF", "\\x 00",
         "\\X00", "abc", "\\001", "\\\\", "", "\\x00ff5c"]
INTERVALS = ["P1Y2M3DT4H5M6.789S", "P2W", "PT90S", "PT36H", "P1D", "P", "PT",
             "P1DT", "P1Y1Y", "PT1S1M", "P1W1D", "P1.5D", "PT1.5H", "PT.5S",
             "PT1.1234567S", "PT5", "P-1D", "-P1D", "p1d", "P1S", "PT1D",
             "P1H", "P0001-02-03T04:05:06", "PT999999S", "PT9999999H",
             "1 day", "1 days", "3 mons", "1 year 2 mons 3 days 04:05:06.7",
             "1 day 1 week", "1 week 1 day", "90 minutes", "1 hour 1 hour",
             "1 hour 02:03:04", "1 day ago", "@ 1 day", "1 day ", " 1 day",
             "1  day", "1 DAY", "1 d", "1day", "01:02", "01:02:03",
             "01:02:03.123456", "01:02:03.1234567", "100:00:00", "1:2:3",
             "01:60:00", "01:00:60", "01:00:59.999999", "01:002:03",
             "01:02:03:04", "01:02:", "01:02:03.", "-01:02:03", "+01:02:03",
             "1 day -01:00:00", "1-2", "1 2:03:04", "5", "1.5 days", "",
             "infinity", "1 century", "2 secs", "5 sec", "7 mins", "1 month"]
INETS = ["10.1.2.3", "10.1.2.3/24", "10.1.2.0/24", "10.1.2.3/32", "10.0.0.0/8",
         "0.0.0.0/0", "255.255.255.255", "256.1.1.1", "10.1.2", "10/8",
         "10.1.2.3/33", "10.1.2.3/024", "10.1.2.3/", "10.1.2.3/-1", "/8",
         "010.1.2.3", "10.01.2.3", "10.1.2.3.", ".10.1.2.3", "10..2.3",
         "0x0a010203", "1.2.3.4.5", " 10.1.2.3", "10.1.2.3 ", "", "::", "::1",
         "::/0", "2001:db8::1", "2001:DB8::1/64", "2001:db8::/32",
         "2001:db8:0:0:0:0:0:1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8/128",
         "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9",
         "1::2::3", ":::", ":1", "1:", "::12345", "::g", "::1/129",
         "::ffff:10.1.2.3", "fe80::1%eth0", "1:2:3:4:5:6:7:8::",
         "::1:2:3:4:5:6:7:8", "1::3:4:5:6:7:8", "fe80::/10", "224.0.0.1"]
MACS = ["00:00:00:00:00:00", "ff-ff-ff-ff-ff-ff", "aa:Bb:cC:dD:eE:fF",
        "00:00:00:00:00:00:00:00", "FF-ff-FF-ff-FF-ff-FF-ff",
        "08:00:2b:01:02:03", "08-00-2B-01-02-03", "08:00-2b:01:02:03",
        "08002b:010203", "08002b-010203", "0800.2b01.0203", "08002b010203",
        "08:00:2b:01:02:0", "08:00:2b:01:02:0g", "8:0:2b:1:2:3", "",
        "08:00:2b:01:02:03:04:05", "08-00-2b-01-02-03-04-05",
        "12:34:56:78:9a:bc:de:f0", "08:00:2b:01:02:03:04", " 08:00:2b:01:02:03"]
BITS = ["", "0", "1", "10101", "101010", "1010101010", "b101", "B10101",
        "xf", "102", " 10101", "1" * 70]
XMLS = ["<a/>", "text", "", "<a", "<a>é</a>", "<?xml version='1.0'?><a/>",
        "<?xml version='1.0' encoding='latin1'?><a>é</a>", "<a/><b/>", "&x;"]
ARRAYS = ["{}", "{1}", "", "[2:3]={1,2}", [], [1], [1, 2], [1, None],
          ["1", "2"], ["NULL"], [None, None], [""], [[1], [2]], [[1, 2], [3]],
          [[1], 2], [1, [2]], [[]], [[], []], [[1], []], [[[[[[1]]]]]],
          [[[[[[[1]]]]]]], ['a"b', "\\"], ["a b"], ["a,b"], ["{}"], [1, 2, 3],
          [7], ["x"], ["1;2"], ["2024-01-02 03:04:05+00"], [{"a": 1}],
          ['{"a":1}'], ["sad"], [" 1"], [1.5, "NaN"], ["t", "f"], [True],
          ["toolong"], [123456.7], [6], [99999], ["/wBc"], ["a\t\n\\N"],
          ["00112233-4455-6677-8899-aabbccddeeff"], ["2024-01-02"]]


def numbers(rng):
    digits = "".join(rng.choice(string.digits) for _ in
                     range(rng.choice([1, 2, 3, 8, 17, 40])))
    if rng.random() < 0.6:
        at = rng.randrange(len(digits) + 1)
        digits = digits[:at] + "." + digits[at:]
    if rng.random() < 0.3:
        digits += rng.choice("eE") + str(rng.randrange(-330, 330))
    return rng.choice(["", "-", "-", "+"]) + digits


def clocks(rng):
    text = rng.choice(CLOCKS)
    if rng.random() < 0.7:
        text = (f"{rng.randrange(24):02}:{rng.randrange(60):02}:"
                f"{rng.randrange(60):02}")
        if rng.random() < 0.7:
            text += "." + "".join(rng.choice(string.digits) for _ in
                                  range(rng.randrange(1, 11)))
    return text


def dates(rng):
    text = rng.choice(DATES)
    if rng.random() < 0.6:
        text = (f"{rng.choice([1, 99, 1970, 2026, 9999, 20000, 294276]):04}-"
                f"{rng.randrange(1, 13):02}-{rng.randrange(1, 31):02}")
    return text + (" BC" if rng.random() < 0.1 else "")


def times(rng):
    date = rng.choice(DATES) if rng.random() < 0.4 else dates(rng)
    clock = rng.choice(["T", " ", "t", "  "] if rng.random() < 0.3
                       else ["T", " "]) + clocks(rng)
    return date + (clock + rng.choice(ZONES) if rng.random() < 0.9 else "")


def intervals(rng):
    number = rng.choice(["0", "1", "7", "23", "59", "61", "1000", "007"])
    clock = f"{number}:{rng.choice(['00', '7', '59'])}:{rng.choice(CLOCKS)}"
    if rng.random() < 0.4:
        text = "P" + "".join(rng.choice(["1", "12", "0", "366"]) + unit
                             for unit in "YMWD" if rng.random() < 0.4)
        return text + "T" * (rng.random() < 0.7) + "".join(
            rng.choice(["1", "12", "90", "0.5", "6.789012"]) + unit
            for unit in "HMS" if rng.random() < 0.5)
    units = ["year", "years", "mon", "months", "week", "weeks", "day", "days",
             "hour", "hours", "min", "minutes", "sec", "seconds"]
    words = [f"{rng.choice(['1', '2', '90'])} {unit}" for unit in units
             if rng.random() < 0.2]
    return " ".join(words + [clock] * (rng.random() < 0.5))


def inets(rng):
    if rng.random() < 0.5:
        text = ".".join(str(rng.choice([0, 1, 10, 127, 128, 255]))
                        for _ in range(4))
        most = 34
    else:
        groups = [rng.choice(["0", "1", "db8", "FFFF", "00ab", ""])
                  for _ in range(rng.randrange(3, 10))]
        text, most = ":".join(groups), 130
    return text + (f"/{rng.randrange(most)}" if rng.random() < 0.5 else "")


def texts(rng):
    return "".join(rng.choice('ab é"\\,{}\t\n😀') for _ in
                   range(rng.randrange(8)))


def arrays(rng):
    def element():
        return rng.choice([None, rng.randrange(-9, 99),
                           str(rng.randrange(-9, 99)), 1.50, "t", "a b",
                           'q"\\', "2024-01-02 03:04:05Z", ""])

    def some(depth):
        if depth == 0:
            return element()
        return [some(depth - 1) for _ in range(size)]

    size = rng.randrange(1, 4)
    return some(rng.randrange(1, 4))


TYPES = {
    "uuid": (UUIDS, None), "boolean": (BOOLEANS, None),
    **{name: (NUMBERS, numbers) for name in (
        "numeric", "numeric(10,2)", "numeric(3,0)", "numeric(20,15)", "cents",
        "real", "double precision", "smallint", "integer", "bigint",
        "positive")},
    "timestamptz": (WORDS, times), "timestamptz(3)": (WORDS, times),
    "timestamp": (WORDS, times), "timestamp(0)": (WORDS, times),
    "date": (WORDS + DATES, dates), "time": (WORDS + CLOCKS, clocks),
    "time(2)": (CLOCKS, clocks),
    "jsonb": (JSON, None), "json": (JSON, None),
    **{name: (TEXTS, texts) for name in (
        "text", "varchar(5)", "char(5)", "name5", "mood")},
    "bytea": (BYTES, None),
    **{name: (INTERVALS, intervals) for name in (
        "interval", "interval(0)", "interval day", "interval hour to second",
        "interval minute to second")},
    **{name: (INETS, inets) for name in ("inet", "cidr")},
    "macaddr": (MACS, None), "macaddr8": (MACS, None), "xml": (XMLS, None),
    "bit(5)": (BITS, None), "bit varying(8)": (BITS, None),
    **{name: (ARRAYS, arrays) for name in (
        "integer[]", "smallint[]", "bigint[]", "text[]", "varchar(3)[]",
        "numeric(6,1)[]", "boolean[]", "timestamptz[]", "jsonb[]", "json[]",
        "positive[]", "two", "mood[]", "real[]", "double precision[]",
        "bytea[]", "uuid[]", "date[]", "name5[]")},
    "inet[]": ([[inet] for inet in INETS] + [INETS[:3]], None),
    "interval[]": ([[one] for one in INTERVALS] + [INTERVALS[:3]], None),
}


# what the daemon calls the domains
BASES = {"positive": "integer", "cents": "numeric(10,2)",
         "name5": "varchar(5)", "two": "integer[]",
         "positive[]": "integer[]", "name5[]": "varchar(5)[]"}


def documents(kind, value):
    """(type of the configuration, JSON): as text, as the table's own type,
    and where the text is JSON itself, as that."""
    kind = BASES.get(kind, kind)
    if not isinstance(value, str):
        return [(kind, json.dumps(value))]
    found = [("text", json.dumps(value)), (kind, json.dumps(value))]
    try:
        json.loads(value, parse_constant=lambda word: int("no"))
        return found + [(kind, " ".join(value.split()))]
    except ValueError:
        return found


class Tables:
    """Two tables of one column, filled by text and by tuples."""

    def __init__(self, connection, kind):
        self.cursor = connection.cursor()
        for table in "by_text", "by_tuples":
            self.cursor.execute(f"CREATE TABLE {table} (n serial, v {kind})")

    def copy(self, table, data, how=""):
        """The SQLSTATE and the message, or None."""
        self.cursor.execute("SAVEPOINT s")
        try:
            self.cursor.copy_expert(f"COPY {table} (v) FROM STDIN {how}",
                                    io.BytesIO(data))
        except psycopg2.Error as error:
            self.cursor.execute("ROLLBACK TO s")
            return (error.pgcode, error.diag.message_primary,
                    error.diag.message_detail)
        self.cursor.execute("RELEASE s")
        return None

    def last(self, table):
        """The last row's value, as PostgreSQL keeps and as it shows it."""
        out = io.BytesIO()
        self.cursor.copy_expert(
            f"COPY (SELECT v, v::text, pg_column_size(v) FROM {table}"
            " ORDER BY n DESC LIMIT 1) TO STDOUT (FORMAT binary)", out)
        return out.getvalue()

    def compare(self, line, row, told):
        wrong = self.copy("by_text", line)
        assert self.copy("by_tuples", HEADER + row + b"\xff\xff",
                         "(FORMAT binary)") == wrong, told
        if wrong is None:
            assert self.last("by_tuples") == self.last("by_text"), told


def rows_of(receive, element, values):
    """(line, tuple or None) of each value, or None: the daemon refuses it."""
    made = subprocess.run(
        [BUILD / "test/tuples"], check=True, stdout=subprocess.PIPE,
        input="".join(f"{receive}\t{element}\t{kind}\t{value}\n"
                      for kind, value in values).encode()
    ).stdout.decode().splitlines()
    assert len(made) == len(values)
    rows = []
    for one in made:
        line, _, row = one.partition(" ")
        rows.append(None if line == "fault" else (
            bytes.fromhex(line), None if row == "-" else bytes.fromhex(row)))
    return rows


@pytest.mark.parametrize("kind", TYPES)
def test_the_same_as_by_text(database, kind):
    """Whatever the session's settings make of the text."""
    usual, generate = TYPES[kind]
    rng = random.Random(f"{SEED} {kind}")
    values = usual + [generate(rng) for _ in range(VALUES if generate else 0)]
    values = [one for value in values for one in documents(kind, value)]
    database.query(PREPARE)
    made = rows_of(*database.query(ASK, kind)[0], values)
    assert sum(row is not None and row[1] is not None for row in made) > 5
    connection = psycopg2.connect(database.conninfo)
    try:
        tables = Tables(connection, kind)
        for style, zone in ("ISO, MDY", "UTC"), ("German", "Asia/Kolkata"):
            tables.cursor.execute(f"SET DateStyle = '{style}'")
            tables.cursor.execute(f"SET TimeZone = '{zone}'")
            for (given, value), row in zip(values, made):
                if row and row[1]:
                    tables.compare(*row, f"{kind} by {given}, {value[:80]}, "
                                   f"seed {SEED}")
    finally:
        connection.close()


# as most write them: none goes as a line
USUAL = {
    "uuid": UUIDS[:5], "boolean": ["true", "false", "t", "f", "1", "0", True],
    "numeric": ["0", "1.50", "-12345.678", "1e-7", "NaN", "9" * 1000, 1.5],
    "real": ["1.5", "1e-45", "NaN", 1.5],
    "double precision": ["1.5", "4.9e-324", "-0", "Infinity", 1e300],
    "timestamptz": ["2026-01-31 12:34:56.789+00", "2026-01-31T12:34:56Z",
                    "2026-01-31T12:34:56.123456789+05:30", "infinity",
                    "294276-12-31 23:59:59Z"],
    "timestamp": ["2026-01-31 12:34:56.789", "-infinity"],
    "date": ["2026-01-31"], "time": ["12:34:56.789"],
    "integer[]": [["1", None, 3], [], "{}", [[1, 2], [3, 4]]],
    "text[]": [['a "b"', "NULL"]],
    "jsonb[]": [[{"a": [1, 2]}, None]], "mood": ["sad"],
    "interval": ["1 day 02:03:04.5", "P1DT2H", "90 minutes", "01:02:03"],
    "inet": ["10.1.2.3", "10.1.2.0/24", "2001:db8::1", "::1"],
    "cidr": ["10.1.2.0/24", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03"], "inet[]": [["10.1.2.3", None]],
    "macaddr8": ["08:00:2b:01:02:03:04:05"], "xml": ["<a>é</a>"],
    "bit(5)": ["10101"], "bit varying(8)": ["101"], "cents": ["7.50"], "positive[]": [[6, "7"]], "bytea": ["\\x00"],
}


@pytest.mark.parametrize("kind", USUAL)
def test_usual_values_become_tuples(database, kind):
    database.query(PREPARE)
    values = [(given, json.dumps(value)) for value in USUAL[kind]
              for given in ("text", BASES.get(kind, kind))
              if given != "text" or isinstance(value, str)]
    made = rows_of(*database.query(ASK, kind)[0], values)
    assert [value for value, row in zip(values, made)
            if row and row[1] is None] == []
    assert sum(row is not None for row in made) * 2 >= len(values)
