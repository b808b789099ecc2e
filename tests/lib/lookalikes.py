"""Objects of a hostile role that have the names of PostgreSQL's own."""

import itertools
import re

import psycopg2

# for an argument of any type, and for arrays of any
ANY = ["text", "integer", "bigint", "name", "oid"]
ARRAYS = ["text[]", "integer[]", "bigint[]", "name[]", "oid[]"]
POLYMORPHIC = {
    "anyelement": ANY, "anynonarray": ANY, "anycompatible": ANY,
    "anycompatiblenonarray": ANY, "anyarray": ARRAYS,
    "anycompatiblearray": ARRAYS, '"any"': ANY, "record": ["record"]}


class Log:
    """What a server logs from here on."""

    def __init__(self, postgres):
        self.path = postgres.directory / "log"
        self.start = self.path.stat().st_size

    def text(self):
        with open(self.path, "rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")

    def calls(self, roles):
        """The look-alikes that were called with these roles' rights."""
        found = re.findall(r"look-alike (.*) called as (\S+)", self.text())
        return sorted({(what, who) for what, who in found if who in roles})


class Names:
    """PostgreSQL's own that a text of SQL may mean."""

    def __init__(self, database, text):
        words = sorted(set(re.findall(r"[a-z_][a-z0-9_]*", text)))
        signs = sorted(set(re.findall(r"[-+*/<>=~!@#%^&|`?]+", text)))
        self.functions = database.query(
            "SELECT proname, pg_catalog.oidvectortypes(proargtypes),"
            " pg_catalog.format_type(prorettype, NULL), proretset"
            " FROM pg_catalog.pg_proc WHERE pronamespace = 11 AND proname ="
            " ANY (%s)", words)
        self.operators = database.query(
            "SELECT oprname, pg_catalog.format_type(oprleft, NULL),"
            " pg_catalog.format_type(oprright, NULL),"
            " pg_catalog.format_type(oprresult, NULL)"
            " FROM pg_catalog.pg_operator WHERE oprnamespace = 11 AND"
            " oprcode <> 0 AND oprname = ANY (%s)", signs)
        self.types = [row[0] for row in database.query(
            "SELECT typname FROM pg_catalog.pg_type WHERE typnamespace = 11"
            " AND typtype IN ('b', 'r') AND typname = ANY (%s)", words)]
        self.relations = [row[0] for row in database.query(
            "SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = 11"
            " AND relkind IN ('r', 'v') AND relname = ANY (%s)", words)]


def concrete(types):
    """All the lists that may stand for one with polymorphic types."""
    given = [item.strip() for item in types.split(",")] if types else []
    kinds = {item for item in given if item in POLYMORPHIC}
    if not kinds:
        return [given]
    return [[POLYMORPHIC[item][n] if len(POLYMORPHIC.get(item, "")) > n
             else item for item in given] for n in range(len(ANY))]


def variadic(types):
    """An argument list that goes on, as that of format()."""
    last = types.rpartition(", ")[2]
    if last not in ('"any"', "text[]") or types.startswith("anyarray"):
        return []
    before = types[:-len(last)].strip(", ")
    return [[*([before] if before else []), *["text"] * n]
            for n in range(1, 4)]


class Hostile:
    """Makes the look-alikes in one schema, as a role that may create there."""

    def __init__(self, connection, schema):
        self.cursor = connection.cursor()
        self.schema = f'"{schema}"'
        self.numbers = itertools.count()
        self.refused = []
        self.made = 0

    def make(self, sql):
        try:
            self.cursor.execute(sql)
            self.made += 1
        except psycopg2.Error as problem:
            self.refused.append((sql.split("AS $$")[0], str(problem)))
            return False
        return True

    def function(self, name, types, result, label):
        return self.make(
            f'CREATE FUNCTION {self.schema}."{name}"({", ".join(types)})'
            f" RETURNS {result} LANGUAGE plpgsql AS $$BEGIN RAISE LOG"
            f" 'look-alike % called as %', '{label}', current_user;"
            f" RETURN {'' if result.startswith('SETOF') else 'NULL'};"
            " END$$")

    def functions(self, names):
        for name, types, result, many in names.functions:
            for given in concrete(types) + variadic(types):
                kind = POLYMORPHIC.get(result, [result])[0]
                self.function(name, given, f"SETOF {kind}" if many else kind,
                              f"{name}({','.join(given)})")

    def operators(self, names):
        for name, left, right, result in names.operators:
            pairs = [pair for pair in concrete(f"{left}, {right}")
                     if "-" not in pair]
            for left_type, right_type in pairs:
                function = f"operator_{next(self.numbers)}"
                label = f"{left_type} {name} {right_type}"
                if self.function(function, [left_type, right_type],
                                 POLYMORPHIC.get(result, [result])[0], label):
                    self.make(
                        f"CREATE OPERATOR {self.schema}.{name} (LEFTARG ="
                        f" {left_type}, RIGHTARG = {right_type}, FUNCTION ="
                        f" {self.schema}.{function})")

    def types(self, names):
        for name in names.types:
            check = f"domain_{next(self.numbers)}"
            self.function(check, [f'pg_catalog."{name}"'], "boolean",
                          f"domain {name}")
            self.make(f'CREATE DOMAIN {self.schema}."{name}" AS pg_catalog.'
                      f'"{name}" CHECK ({self.schema}.{check}(VALUE))')

    def relations(self, names):
        self.function("looks", [], "boolean", "a relation")
        for name in names.relations:
            self.make(f'CREATE VIEW {self.schema}."{name}" AS SELECT *,'
                      f" {self.schema}.looks() FROM pg_catalog.{name}")

    def everything(self, names):
        # types last: their names would be found for the others' arguments
        self.functions(names)
        self.operators(names)
        self.relations(names)
        self.types(names)
        return self
