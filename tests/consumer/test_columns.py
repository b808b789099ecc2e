"""What a column makes of a record: a stored value, or a dead letter."""

import base64
import dataclasses
import hashlib
import json

import pytest

from tests.lib.env import wait_for
from tests.lib.history import wait_accounted

TEXT = object()         # the record's own text is stored


@dataclasses.dataclass
class Dead:
    sqlstate: str
    reason: str = ""


MISFIT = Dead("22P02", "does not fit type")
RANGE = Dead("22003", "out of range")
WHOLE = Dead("22P02", "not a whole number")
NO_TIME = Dead("22007", "not an ISO 8601 time")
UNIT = Dead("22007", 'only with "unit"')
BASE64 = Dead("22P02", "not base64")
SYNTAX = Dead("22P02")


def q(text):
    return json.dumps(text)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


# (type of the column in the table, keys of the column, [(JSON, stored)])
INTEGERS = [
    ("smallint", {}, [
        ("0", "0"), ("-0", "0"), ("32767", "32767"), ("-32768", "-32768"),
        ("32768", RANGE), ("-32769", RANGE), ('"12"', "12"), ('"-1"', "-1"),
        ('""', WHOLE), ('"-"', WHOLE), ('" 1"', WHOLE), ("1.0", WHOLE),
        ("1e2", WHOLE), ("true", MISFIT), ("[]", MISFIT), ("{}", MISFIT),
        ("null", None)]),
    ("integer", {}, [
        ("2147483647", "2147483647"), ("-2147483648", "-2147483648"),
        ("2147483648", RANGE), ("-2147483649", RANGE), ('"x"', WHOLE),
        ('"1\\u0661"', WHOLE), ('"007"', "7"), ("false", MISFIT)]),
    ("bigint", {}, [
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", RANGE), ("-9223372036854775809", RANGE),
        ("99999999999999999999999999", RANGE),
        ("9007199254740993", "9007199254740993"),
        ('"9007199254740993"', "9007199254740993")]),
    ("integer", {"transform": "cast"}, [
        ("1.0", "1"), ("1e3", "1000"), ("12.50e1", "125"), ("-3.000", "-3"),
        ("1.5", Dead("22P02", "cannot be cast")), ('" 42 "', "42"),
        ('"+7"', "7"), ("true", "1"), ("false", "0"), ("0.0", "0"),
        ("1e-3", Dead("22P02", "cannot be cast")), ("100e-2", "1"),
        ("1e300", Dead("22P02", "cannot be cast")), ("1e12", RANGE),
        ('"one"', Dead("22P02", "cannot be cast")), ("-0.0e5", "0"),
        ("null", None)]),
    ("boolean", {"transform": ["cast"]}, [
        ("0", "false"), ("1", "true"), ("1.0", "true"), ('"1"', "true"),
        ("true", "true"), ('"yes"', "true"), ('" off "', "false"),
        ("2", Dead("22P02", "cannot be cast"))]),
]

NUMBERS = [
    ("numeric", {}, [
        ("0.1", "0.1"), ("1.10", "1.10"), ("-0.00", "0.00"),
        ("12345678901234567890.12345678901234567890",
         "12345678901234567890.12345678901234567890"),
        ("1" * 1000, "1" * 1000), ("1e20", "1" + "0" * 20),
        ("1E-5", "0.00001"), ('"1.50"', "1.50"), ('"NaN"', "NaN"),
        ('"x"', SYNTAX), ('""', SYNTAX), ("true", MISFIT), ("{}", MISFIT),
        ("null", None)]),
    ("numeric(6,2)", {}, [
        ("1234.56", "1234.56"), ("0.005", "0.01"), ("12345.6",
                                                    Dead("22003"))]),
    ("real", {}, [("1.5", "1.5"), ("1e39", Dead("22003")),
                  ('"Infinity"', "Infinity"), ("[1]", MISFIT)]),
    ("double precision", {}, [
        ("0.1", "0.1"), ("1e300", "1e+300"), ("1e309", Dead("22003")),
        ("-0", "-0"), ("9007199254740993", "9.007199254740992e+15"),
        ('"abc"', SYNTAX)]),
    ("boolean", {}, [
        ("true", "true"), ("false", "false"), ('"t"', "true"),
        ('"no"', "false"), ('"maybe"', SYNTAX), ("1", MISFIT),
        ("0", MISFIT), ("null", None)]),
    ("numeric", {"transform": "cast"}, [('" +1.5 "', "1.5"), ("2", "2")]),
]

TEXTS = [
    ("text", {}, [
        (q(""), ""), (q(" "), " "), (q("\t"), "\t"), (q("\r\n"), "\r\n"),
        (q("\\"), "\\"), (q("\\."), "\\."), (q("\\N"), "\\N"), (q("N"), "N"),
        (q("\\D"), "\\D"), (q("\\x41"), "\\x41"), (q("a\tb\nc"), "a\tb\nc"),
        (q("\b\f\v\x01\x1f\x7f"), "\b\f\v\x01\x1f\x7f"), (q("null"), "null"),
        (q("{1,2}"), "{1,2}"), (q("€😀\ufeff"), "€😀\ufeff"),
        ('"\\ud83d\\ude00\\/"', "😀/"), ('"€"', "€"), ("1.50", "1.50"),
        ("1e2", "1e2"), ("true", "true"), ("false", "false"),
        (q("\\.\n"), "\\.\n"), (q("\n\\.\n"), "\n\\.\n"), (q("\u2028"), "\u2028"),
        (q("e\u0301"), "e\u0301"), (q("\x7f\u0085"), "\x7f\u0085"),
        ('"\\uFFFF\\u0001"', "\uffff\x01"), (q("'\"$1;--"), "'\"$1;--"),
        ("-0", "-0"), ("[]", "[]"), ("{}", "{}"),
        ('"\\u0000"', Dead("22032", "NUL in a string")),
        ('"\x00"', Dead("22032", "control character")),
        ('"\\ud800"', Dead("22032", "lone surrogate")),
        ("01", Dead("22032")), ("tru", Dead("22032")), ("1,", Dead("22032")),
        ("1}", Dead("22032")), ("", Dead("22032")),
        ("[1, 2]", "[1, 2]"), ('{"a" : "\\n"}', '{"a" : "\\n"}'),
        ("null", None)]),
    ("varchar(3)", {}, [(q("abc"), "abc"), (q("äöü"), "äöü"), ("123", "123"),
                        (q("abcd"), Dead("22001"))]),
    ("char(3)", {}, [(q("ab"), "ab"), (q("abcd"), Dead("22001"))]),
    ('"char"', {}, [(q("a"), "a")]),
    ("text", {"transform": ["trim"]}, [
        (q(" \t\n a b \r\v\f"), "a b"), (q("   "), ""), (q(""), ""),
        (q("x"), "x"), ("12", "12"), ("null", None)]),
    ("text", {"transform": "lower"}, [
        (q("ÄÖÜ ABC İ ẞ"), "äöü abc i ß"), (q("a\tB\\"), "a\tb\\"),
        (q("ΑΣ😀"), "ας😀"[:1] + "σ😀"), ("true", "true")]),
    ("text", {"transform": "upper"}, [
        (q("äöü abc ß ÿ"), "ÄÖÜ ABC ß Ÿ"), (q(""), ""), ("1e5", "1E5")]),
    ("text", {"transform": "sha256"}, [
        (q("a@b.c"), sha("a@b.c")), (q(""), sha("")), (q("é"), sha("é")),
        ("1.0", sha("1.0")), ('{"a":1}', sha('{"a":1}'))]),
    # what moves nothing between two that do
    ("text", {"transform": ["lower", "trim", {"mask": 4}]}, [
        (q("12345678"), "****5678"), (q(" ABCDEFGH "), "****efgh")]),
    ("text", {"transform": ["lower", "trim", "mask"]}, [
        (q("\u00e9\u00e9\u00e9SECRET"), "*********")]),
    ("text", {"transform": ["lower", "trim", "upper"]}, [
        (q("\u023a" * 2000), "\u023a" * 2000)]),
    ("text", {"transform": ["trim", "lower", "sha256"]}, [
        (q(" A@B.C "), sha("a@b.c"))]),
    ("text", {"transform": "mask"}, [
        (q("secret"), "******"), (q("äö😀"), "***"), (q(""), ""),
        ("1234", "****")]),
    ("text", {"transform": {"mask": 4}}, [
        (q("4111111111111111"), "************1111"), (q("äöüß€"), "*öüß€"),
        (q("1234"), "****"), (q("12"), "**")]),
    ("bytea", {"transform": "sha256"}, [
        (q("x"), "\\x" + sha("x")), (q(""), "\\x" + sha(""))]),
    ("integer", {"transform": "trim"}, [(q(" 7\n"), "7"), (q(" x "), WHOLE)]),
]

TIMES = [
    ("timestamptz", {}, [
        (q("2026-01-31T12:00:00Z"), "2026-01-31 12:00:00+00"),
        (q("2026-01-31t12:00:00z"), "2026-01-31 12:00:00+00"),
        (q("2026-01-31 12:00:00+01:00"), "2026-01-31 11:00:00+00"),
        (q("2026-01-31T12:00:00.123456-0130"),
         "2026-01-31 13:30:00.123456+00"),
        (q("2026-01-31T12:00:00,5+05"), "2026-01-31 07:00:00.5+00"),
        (q("2026-01-31T12:00"), "2026-01-31 12:00:00+00"),
        (q("2026-01-31T12:00:00"), "2026-01-31 12:00:00+00"),
        (q("2026-01-31"), "2026-01-31 00:00:00+00"),
        (q("20260131T120000Z"), "2026-01-31 12:00:00+00"),
        (q("20260131T1200+0100"), "2026-01-31 11:00:00+00"),
        (q("2026-01-31T24:00:00Z"), "2026-02-01 00:00:00+00"),
        (q("2026-12-31T23:59:60Z"), "2027-01-01 00:00:00+00"),
        (q("2024-02-29T00:00:00Z"), "2024-02-29 00:00:00+00"),
        (q("0001-01-01T00:00:00Z"), "0001-01-01 00:00:00+00"),
        (q("12026-01-01T00:00:00Z"), "12026-01-01 00:00:00+00"),
        (q("2026-01-31T12:00:00.1234567890123Z"),
         "2026-01-31 12:00:00.123457+00"),
        (q("2026-01-01T00:30:00+01:00"), "2025-12-31 23:30:00+00"),
        (q("infinity"), "infinity"), (q("-infinity"), "-infinity"),
        (q("2026-02-29T00:00:00Z"), NO_TIME),
        (q("2026-13-01"), NO_TIME), (q("2026-00-01"), NO_TIME),
        (q("2026-04-31"), NO_TIME), (q("0000-01-01"), NO_TIME),
        (q("2026-01-31T25:00:00Z"), NO_TIME),
        (q("2026-01-31T12:60:00Z"), NO_TIME),
        (q("2026-01-31T12:00:61Z"), NO_TIME),
        (q("2026-01-31T12"), NO_TIME), (q("2026-01-31T12:00:00."), NO_TIME),
        (q("2026-01-31T12:00:00Zx"), NO_TIME),
        (q("2026-01-31T12:00:00 PM"), NO_TIME),
        (q("2026-1-31"), NO_TIME), (q("31.01.2026"), NO_TIME),
        (q("01/02/2026"), NO_TIME), (q("now"), NO_TIME), (q("today"), NO_TIME),
        (q("tomorrow"), NO_TIME), (q("epoch"), NO_TIME), (q(""), NO_TIME),
        (q("2026-W05-6"), NO_TIME), (q("2026-031"), NO_TIME),
        (q("2026-01-31T12:00:00+16:00"), NO_TIME),
        (q("12:00:00"), Dead("22007", "a time without a date")),
        ("1769860800", UNIT), (q("1769860800"), UNIT), ("20260131", UNIT),
        ("true", MISFIT),
        ("null", None)]),
    ("timestamptz", {"unit": "s"}, [
        ("1769860800", "2026-01-31 12:00:00+00"),
        ("1769860800.123456", "2026-01-31 12:00:00.123456+00"),
        ("1769860800.1234565", "2026-01-31 12:00:00.123457+00"),
        ("1.7698608e9", "2026-01-31 12:00:00+00"),
        ("17698608000E-1", "2026-01-31 12:00:00+00"),
        ("0", "1970-01-01 00:00:00+00"), ("-1", "1969-12-31 23:59:59+00"),
        ("-0.5", "1969-12-31 23:59:59.5+00"),
        ("-62135596801", "0001-12-31 23:59:59+00 BC"),
        (q("1769860800"), "2026-01-31 12:00:00+00"),
        (q("2026-01-31T12:00:00Z"), "2026-01-31 12:00:00+00"),
        ("1e18", Dead("22008")), ("-1e15", Dead("22008")),
        ("1e15000", Dead("22008")), ("1e-15000", "1970-01-01 00:00:00+00"),
        (q("x"), Dead("22007", "neither a number")), (q("1.2.3"),
                                                      Dead("22007"))]),
    ("timestamptz", {"unit": "ms"}, [
        ("1769860800123", "2026-01-31 12:00:00.123+00"),
        ("1769860800123.4567", "2026-01-31 12:00:00.123457+00"),
        ("36001215", "1970-01-01 10:00:01.215+00"),
        (q("36001215"), "1970-01-01 10:00:01.215+00"),
        ("9223372036854775807", Dead("22008")),
        ("99999999999999999999999", Dead("22008"))]),
    ("timestamptz", {"unit": "us"}, [
        ("1769860800123456", "2026-01-31 12:00:00.123456+00")]),
    ("timestamptz", {"unit": "ns"}, [
        ("1769860800123456789", "2026-01-31 12:00:00.123457+00")]),
    ("timestamptz(0)", {}, [
        (q("2026-01-31T12:00:00.6Z"), "2026-01-31 12:00:01+00")]),
    ("timestamp", {}, [
        (q("2026-01-31T12:00:00"), "2026-01-31 12:00:00"),
        # PostgreSQL alone would drop the offset
        (q("2026-01-31T12:00:00+02:00"), "2026-01-31 10:00:00"),
        (q("2026-03-01T00:30:00+01:00"), "2026-02-28 23:30:00"),
        (q("2024-02-29T23:30:00-01:00"), "2024-03-01 00:30:00"),
        (q("2026-01-31"), "2026-01-31 00:00:00"), (q("x"), NO_TIME)]),
    ("timestamp", {"unit": "ms"}, [("1769860800123",
                                    "2026-01-31 12:00:00.123")]),
    ("date", {}, [
        (q("2026-01-31"), "2026-01-31"), (q("20260131"), "2026-01-31"),
        (q("2026-01-31T23:30:00-01:00"), "2026-02-01"),
        (q("2026-01-31T00:00:00Z"), "2026-01-31"), (q("infinity"),
                                                    "infinity"),
        (q("2026-02-30"), NO_TIME), ("1", UNIT), ("20260131", UNIT)]),
    ("date", {"unit": "s"}, [
        ("1769903999", "2026-01-31"), ("-1", "1969-12-31"),
        # each is a basic form of a date, too
        ("20240102", "1970-08-23"), (q("20240102"), "1970-08-23"),
        (q("2024-01-02"), "2024-01-02")]),
    ("time", {}, [
        (q("12:34"), "12:34:00"), (q("12:34:56.789"), "12:34:56.789"),
        (q("24:00:00"), "24:00:00"), (q("23:30:00-01:00"), "00:30:00"),
        (q("2026-01-31T12:00:00+01:00"), "11:00:00"),
        (q("2026-01-31"), Dead("22007", "a date without a time")),
        (q("25:00"), NO_TIME), (q("infinity"), NO_TIME)]),
    ("time", {"unit": "s"}, [("1769860800.5", "12:00:00.5")]),
    # the end of a day is not its begin; other numbers are moments
    ("time", {"unit": "ms"}, [
        ("86400000", "24:00:00"), ("86399999", "23:59:59.999"),
        ("86400001", "00:00:00.001"), ("172800000", "00:00:00"),
        ("0", "00:00:00"), ("-1", "23:59:59.999")]),
    ("interval", {}, [(q("P1DT2H"), "1 day 02:00:00"), ("5", MISFIT),
                      (q("soon"), Dead("22007"))]),
]

OTHERS = [
    ("uuid", {}, [
        (q("7D444840-9dc0-11d1-b245-5ffdce74fad2"),
         "7d444840-9dc0-11d1-b245-5ffdce74fad2"),
        (q("7d4448409dc011d1b2455ffdce74fad2"),
         "7d444840-9dc0-11d1-b245-5ffdce74fad2"),
        (q("7d444840"), SYNTAX), (q(""), SYNTAX), ("1", MISFIT)]),
    ("inet", {}, [(q("10.0.0.1"), "10.0.0.1/32"), (q("::1/64"), "::1/64"),
                  (q("10.0.0.256"), SYNTAX), ("10", MISFIT)]),
    ("cidr", {}, [(q("10.0.0.0/8"), "10.0.0.0/8"), (q("10.0.0.1/8"),
                                                    SYNTAX)]),
    ("bytea", {}, [
        (q(""), "\\x"), (q("AA=="), "\\x00"), (q("AA"), "\\x00"),
        (q("AQI="), "\\x0102"), (q("AQID"), "\\x010203"),
        (q(base64.b64encode(bytes(range(256))).decode()),
         "\\x" + bytes(range(256)).hex()),
        (q(base64.urlsafe_b64encode(b"\xfb\xff\xfe").decode()), "\\xfbfffe"),
        (q("A"), BASE64), (q("AAAAA"), BASE64), (q("AA="), BASE64),
        (q("A==="), BASE64), (q("AA==AA=="), BASE64), (q("A A="), BASE64),
        (q("AB\n=="), BASE64), (q("\\x00"), BASE64), ("1", MISFIT),
        ("null", None)]),
    ("jsonb", {}, [
        ("1.10", "1.10"), ('"a\\tb"', '"a\\tb"'), ("true", "true"),
        ('{"b":1, "a":[null]}', '{"a": [null], "b": 1}'), ("null", None),
        ("12345678901234567890.5", "12345678901234567890.5"),
        ('"\\u00e9\\\\"', '"é\\\\"')]),
    ("json", {}, [('{"b" : 1,"a": 2}', TEXT), ('"\\ud83d\\ude00"', TEXT),
                  ("[ 1 ]", TEXT)]),
    ("mood", {}, [(q("ok"), "ok"), (q("it's"), "it's"), (q("bad"), SYNTAX),
                  (q(""), SYNTAX), ("1", SYNTAX), ("null", None)]),
    ("positive", {}, [("1", "1"), (q("7"), "7"), ("0", Dead("23514")),
                      ("1.5", WHOLE), ("true", MISFIT)]),
    ("small_positive", {}, [("9", "9"), ("10", Dead("23514")),
                            (q("x"), WHOLE)]),
    ("stamp", {"unit": "ms"}, [("0", "1970-01-01 00:00:00+00")]),
]

ARRAYS = [
    ("integer[]", {}, [
        ("[]", "{}"), ("[1,2]", "{1,2}"), ("[1,null]", "{1,NULL}"),
        ("[[1,2],[3,4]]", "{{1,2},{3,4}}"), ('["7"]', "{7}"),
        ('"{1,2}"', "{1,2}"), ("[1.5]", WHOLE), ("[2147483648]", RANGE),
        ("[true]", MISFIT), ("[{}]", MISFIT), ("1", MISFIT), ("{}", MISFIT),
        ('"1"', SYNTAX), ("[[1],[2,3]]", SYNTAX), ("null", None)]),
    ("text[]", {}, [
        ('["a","b"]', "{a,b}"), ('["", "NULL", null]', '{"","NULL",NULL}'),
        ('["a,b","{","}"]', '{"a,b","{","}"}'),
        ('["\\"","\\\\","a\\tb\\n"]', '{"\\"","\\\\","a\tb\n"}'),
        ('["\\\\N","\\\\."]', '{"\\\\N","\\\\."}'),
        ('["é😀"]', "{é😀}"), ("[1,true]", "{1,true}"),
        ('[{"a":1}]', '{"{\\"a\\":1}"}')]),
    ("jsonb[]", {}, [('[{"a":[1]},"x",null]',
                      '{"{\\"a\\": [1]}","\\"x\\"","null"}'),
                     ("[[1,2]]", '{"[1, 2]"}')]),
    ("numeric(4,1)[]", {}, [("[1.25, 2]", "{1.3,2.0}"),
                            ("[12345]", Dead("22003"))]),
    ("boolean[]", {}, [("[true,false]", "{t,f}"), ("[1]", MISFIT)]),
    ("timestamptz[]", {"unit": "s"}, [
        ('[0,"2026-01-31T12:00:00Z",20240102]',
         '{"1970-01-01 00:00:00+00","2026-01-31 12:00:00+00",'
         '"1970-08-23 06:15:02+00"}')]),
    ("date[]", {}, [("[20240102]", UNIT)]),
    ("bytea[]", {}, [('["AA==","/w=="]', '{"\\\\x00","\\\\xff"}')]),
    ("mood[]", {}, [('["ok"]', "{ok}"), ('["bad"]', SYNTAX)]),
    ("positive[]", {}, [("[1,2]", "{1,2}"), ("[0]", Dead("23514")),
                        ("[1.5]", WHOLE)]),
    ("text[]", {"transform": "upper"}, [('["a","ü"]', "{A,Ü}")]),
    ("uuid[]", {}, [("[1]", MISFIT)]),
]

POLICIES = [
    ("text", {"default": "E\tR"}, [(None, "E\tR"), ("null", None)]),
    ("text", {"default": ""}, [(None, "")]),
    ("text", {"default": 1.50}, [(None, "1.5")]),
    ("text", {"default": None}, [(None, None)]),
    ("integer", {"default": 7, "on_null": "default"}, [
        (None, "7"), ("null", "7"), ("1", "1")]),
    ("integer", {"default": 7, "on_null": "default", "on_missing": "null"}, [
        (None, None), ("null", "7")]),
    ("integer", {"on_null": "reject"}, [
        (None, None), ("null", Dead("23502", "the value is null")),
        ("1", "1")]),
    ("boolean", {"default": False}, [(None, "false")]),
    ("jsonb", {"default": {"a": [1]}}, [(None, '{"a": [1]}')]),
    ("jsonb", {"default": "x"}, [(None, '"x"')]),
    ("integer[]", {"default": [1, 2]}, [(None, "{1,2}")]),
    ("bytea", {"default": "AQI="}, [(None, "\\x0102")]),
    ("timestamptz", {"default": 0, "unit": "s"}, [
        (None, "1970-01-01 00:00:00+00")]),
    ("text", {"default": "D", "transform": "lower"}, [(None, "D"),
                                                      ('"X"', "x")]),
    ("text", {"constant": "a\\b"}, [(None, "a\\b"), ('"x"', "a\\b")]),
    ("integer", {"constant": 5}, [(None, "5")]),
    ("text", {"constant": None}, [(None, None)]),
    ("text[]", {"constant": ["a"]}, [(None, "{a}")]),
]


def run_cases(groups, consumer, topics, database, **config):
    """Every case is a record of its own, with the field of its column."""
    cases, columns, ddl, records = [], {}, [], []
    for number, (kind, keys, found) in enumerate(groups):
        name = f"c{number}"
        ddl.append(f"{name} {kind}")
        source = {} if "constant" in keys else {"path": f"/{name}"}
        columns[name] = {**source, **keys}
        for text, stored in found:
            cases.append((name, kind, keys, text, stored))
            records.append(b"{}" if text is None
                           else f'{{"{name}":{text}}}'.encode())
    for statement in (
            "CREATE TYPE mood AS ENUM ('ok', 'it''s')",
            "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
            "CREATE DOMAIN small_positive AS positive CHECK (VALUE < 10)",
            "CREATE DOMAIN stamp AS timestamptz",
            f"CREATE TABLE many (o bigint PRIMARY KEY, {', '.join(ddl)})"):
        database.query(statement)
    topic = topics.create()
    topics.produce(topic, records)
    consumer({"topic": topic, "group": "g", "start": "earliest",
              "table": "many", "columns": {"o": {"meta": "offset"},
                                           **columns},
              "dead_letters": {"hold_above": 1}, **config})
    wait_for(lambda: database.value(
        "SELECT coalesce(max(next_offset), 0) FROM sluice.offsets")
        >= len(records) if database.try_count("sluice.offsets") else False,
        60, "every record is accounted")
    check_cases(cases, database)


def check_cases(cases, database):
    database.query("SET TIME ZONE 'UTC'")
    names = sorted({case[0] for case in cases})
    rows = {row[0]: dict(zip(names, row[1:])) for row in database.query(
        "SELECT o, " + ", ".join(f"{name}::text" for name in names)
        + " FROM many")}
    dead = {row[0]: row[1:] for row in database.query(
        'SELECT "offset", sqlstate, reason FROM sluice.dead_letters')}
    wrong = []
    for offset, (name, kind, keys, text, stored) in enumerate(cases):
        if stored is TEXT:
            stored = text
        got = rows[offset][name] if offset in rows else Dead(*dead[offset])
        if isinstance(stored, Dead) and isinstance(got, Dead):
            good = got.sqlstate == stored.sqlstate \
                and stored.reason in got.reason
        else:
            good = got == stored
        if not good:
            wrong.append(f"{kind} {keys} of {text}: {got!r}, not {stored!r}")
    assert len(rows) + len(dead) == len(cases)
    assert not wrong, "\n".join(wrong)


GROUPS = INTEGERS + NUMBERS + TEXTS + TIMES + OTHERS + ARRAYS + POLICIES


def test_every_type_takes_what_fits_and_refuses_the_rest(
        consumer, topics, database):
    assert sum(len(found) for _, _, found in GROUPS) > 380
    run_cases(GROUPS, consumer, topics, database)


def test_the_plainest_types_alone_take_the_same(consumer, topics, database):
    """A table of these is written in another way where PostgreSQL has
    nothing to refuse."""
    plain = ("smallint", "integer", "bigint", "text", "varchar(3)", "char(3)",
             "bytea", "json", "jsonb")
    groups = [(kind, keys, [case for case in found
                            if getattr(case[1], "sqlstate", "") != "22001"])
              for kind, keys, found in GROUPS if kind in plain]
    assert sum(len(found) for _, _, found in groups) > 120
    run_cases(groups, consumer, topics, database)


def test_required_fields_and_whole_values(consumer, topics, database):
    database.query("CREATE TABLE t (o bigint, a text, b integer, w jsonb,"
                   " p integer, k text, h text, n text)")
    topic = topics.create()
    topics.produce(topic, [
        ("k\t1", '{"a":"x","b":1}', 0, [("h", b"one"), ("h", b"two\n")]),
        ('{"a":null,"b":1}'), ('{"b":1}'), ('{"a":"x"}'), ("[]"), ("1"),
        (None, '{"a":"x","b":{}}', 0, [("h", None), ("n", b"")]),
        (None, '{"a":"x","b":2}', 0, [("h", b"\xff")]),
        (b"\x00", '{"a":"x","b":2}'), (None, None),
        (None, '{"a":"x","b":3}', 0, [("H", b"case")])])
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "dead_letters": {"hold_above": 1},
        "columns": {
            "o": {"meta": "offset"}, "a": {"path": "/a", "required": True},
            "b": {"path": "/b", "on_missing": "reject"}, "w": "",
            "p": {"meta": "partition"}, "k": {"meta": "key"},
            "h": {"header": "h", "default": "none"},
            "n": {"header": "n", "transform": "mask"}}})
    wait_for(lambda: database.try_count("t") >= 2, 20, "rows")
    assert database.query("SELECT o, a, b, w, p, k, h, n FROM t"
                          " ORDER BY o") == [
        (0, "x", 1, {"a": "x", "b": 1}, 0, "k\t1", "two\n", None),
        (10, "x", 3, {"a": "x", "b": 3}, 0, None, "none", None)]
    dead = database.query('SELECT "offset", sqlstate, reason FROM'
                          ' sluice.dead_letters ORDER BY 1')
    assert dead == [
        (1, "23502", 'column "a": the value is null'),
        (2, "23502", 'column "a": the value is missing'),
        (3, "23502", 'column "b": the value is missing'),
        (4, "2203C", "the value is an array, not an object with fields"),
        (5, "2203C", "the value is a number, not an object with fields"),
        (6, "22P02", 'column "b": an object does not fit type integer'),
        (7, "22021", 'column "h": not UTF-8 text, or a zero byte in it'),
        (8, "22021", 'column "k": not UTF-8 text, or a zero byte in it'),
        (9, "22004", "the value is null")]


NO_FIELDS = ["null", "true", "42", '"text"', "[]", '[{"a":1}]']


def stored(consumer, topics, database, columns, records=NO_FIELDS, **config):
    """The rows' offsets, and the dead letters' by SQLSTATE."""
    topic = topics.create()
    topics.produce(topic, records)
    daemon = consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "dead_letters": {"hold_above": 1},
        "columns": {"o": {"meta": "offset"}, **columns}, **config})
    wait_accounted(database, len(records))
    daemon.stop()
    return [row[0] for row in database.query("SELECT o FROM t ORDER BY o")], \
        database.query('SELECT "offset", sqlstate FROM sluice.dead_letters'
                       " ORDER BY 1")


@pytest.mark.parametrize("columns, more", [
    ({"a": "/a"}, {}), ({"a": {"path": "/a", "default": "none"}}, {}),
    ({"a": {"header": "h"}}, {"rest": "w"}),
    # what "where" lets pass without a field is no row either
    ({"a": "/a"}, {"where": {"path": "/gone", "exists": False}}),
], ids=["path", "default", "rest", "where"])
def test_a_value_without_fields_is_no_row_of_nulls(consumer, topics, database,
                                                   columns, more):
    database.query("CREATE TABLE t (o bigint, a text, w jsonb)")
    rows, dead = stored(consumer, topics, database, columns,
                        NO_FIELDS + ["{}", '{"a":1}'], **more)
    assert rows == [6, 7]
    assert dead == [(offset, "2203C") for offset in range(6)]


def test_a_value_without_fields_is_a_row_where_no_column_asks_for_one(
        consumer, topics, database):
    database.query("CREATE TABLE t (o bigint, a text, w jsonb)")
    rows, dead = stored(consumer, topics, database,
                        {"a": {"header": "h"}, "w": {"path": ""}})
    assert (rows, dead) == (list(range(6)), [])


def test_elements_of_an_array_are_fields(consumer, topics, database):
    database.query("CREATE TABLE t (o bigint, a text, w jsonb)")
    rows, dead = stored(consumer, topics, database, {"a": "/0/a"})
    assert rows == [4, 5]
    assert [offset for offset, _ in dead] == [0, 1, 2, 3]
    assert database.value("SELECT a FROM t WHERE o = 5") == "1"


def test_what_where_leaves_out_need_not_have_fields(consumer, topics,
                                                    database):
    database.query("CREATE TABLE t (o bigint, a text, w jsonb)")
    rows, dead = stored(consumer, topics, database, {"a": "/a"},
                        where={"path": "/a", "exists": True})
    assert (rows, dead) == ([], [])


def test_all_headers_are_an_object(consumer, topics, database):
    """Of each name its value, or an array of them in their order; bytes that
    are no text are hex digits, and a null is a null.  As json too."""
    database.query("CREATE TABLE t (o bigint, h jsonb, j json)")
    topic = topics.create()
    topics.produce(topic, [
        (None, "{}", 0, [("b", b"1"), ("a", "ä\"\t\\"), ("b", None),
                         ("b", b"\xff\0"), ("n", None), ("", b"")]),
        (None, "{}")])
    config = {"topic": topic, "group": "g", "start": "earliest", "table": "t",
              "batch": {"linger": "5ms"},
              "columns": {"o": {"meta": "offset"}, "h": {"meta": "headers"},
                          "j": {"meta": "headers"}}}
    consumer(config)
    wait_accounted(database, 2)
    wanted = {"a": "ä\"\t\\", "b": ["1", None, {"hex": "ff00"}], "n": None,
              "": ""}
    assert database.query("SELECT h, j FROM t ORDER BY o") \
        == [(wanted, wanted), ({}, {})]


def test_headers_go_into_json_alone(consumer, topics, database):
    database.query("CREATE TABLE t (h text)")
    daemon = consumer({
        "topic": topics.create(), "group": "g", "start": "earliest",
        "table": "t", "columns": {"h": {"meta": "headers"}}})
    daemon.wait_held(reason="all headers go into json or jsonb, not into type"
                            " text")


def test_a_null_of_json_is_told_from_an_sql_null(consumer, topics, database):
    database.query("CREATE TABLE t (o bigint, b jsonb, j json, s jsonb)")
    topic = topics.create()
    topics.produce(topic, ['{"b":null,"j":null,"s":null}', "{}",
                           '{"b":[null],"j":0,"s":"null"}'])
    own = {"on_null": "json"}
    consumer({
        "topic": topic, "group": "g", "start": "earliest", "table": "t",
        "batch": {"linger": "5ms"},
        "columns": {"o": {"meta": "offset"}, "b": {"path": "/b", **own},
                    "j": {"path": "/j", **own}, "s": "/s"}})
    wait_accounted(database, 3)
    assert database.query("SELECT b::text, j::text, s::text FROM t"
                          " ORDER BY o") == [
        ("null", "null", None), (None, None, None),
        ("[null]", "0", '"null"')]


@pytest.mark.parametrize("mode, more", [
    ("append", {}), ("ignore", {"key": ["id"]}), ("upsert", {"key": ["id"]}),
    ("upsert", {"key": ["id"], "on_missing": "keep"}),
])
def test_an_identity_is_filled_where_asked(consumer, topics, database, mode,
                                           more):
    """GENERATED ALWAYS: as the record says, by COPY and by INSERT."""
    database.query("CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY"
                   " PRIMARY KEY, v text)")
    topic = topics.create()
    config = {"topic": topic, "group": "g", "start": "earliest",
              "table": "t", "mode": mode, **more,
              "columns": {"id": "/id", "v": "/v"}}
    daemon = consumer(config, start=False)
    code, said = daemon.run("--check")
    assert code == 1 and 'column "id" of table "t" is filled by' in said
    topics.produce(topic, ['{"id":7,"v":"a"}', '{"id":9,"v":"b"}'])
    consumer({**config, "override_identity": True})
    wait_for(lambda: database.query("SELECT id, v FROM t ORDER BY 1")
             == [(7, "a"), (9, "b")], 30, "rows")
    if mode != "append":
        topics.produce(topic, ['{"id":7,"v":"c"}', '{"id":8,"v":"d"}'])
        wait_for(lambda: database.query("SELECT id, v FROM t ORDER BY 1")
                 == [(7, "a" if mode == "ignore" else "c"), (8, "d"),
                     (9, "b")], 30, "rows")
        # mostly known keys, which have a way of their own
        topics.produce(topic, [f'{{"id":{n},"v":"e"}}' for n in (8, 9, 10)])
        wait_for(lambda: database.value("SELECT count(*) FROM t") == 4, 30,
                 "the new row")
        if mode == "upsert":
            assert database.value(
                "SELECT count(*) FROM t WHERE v = 'e'") == 3
