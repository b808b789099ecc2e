"""A test's own database."""

import uuid

import psycopg2


class Database:
    def __init__(self, postgres, name=None):
        """A new database, or the one of that name."""
        self.postgres = postgres
        self.name = name or f"t_{uuid.uuid4().hex[:12]}"
        self.roles = []
        self._connection = None
        if name:
            return
        # the role's own schema is Sluice's: what a test makes is elsewhere
        self._admin(f'CREATE DATABASE "{self.name}"',
                    f'ALTER ROLE sluice IN DATABASE "{self.name}"'
                    ' SET search_path = public')

    def _admin(self, *statements):
        connection = self.postgres.connect()
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    @property
    def conninfo(self):
        return self.postgres.conninfo(self.name)

    def role(self):
        """A role that may nothing yet, for its conninfo."""
        role = f"r_{uuid.uuid4().hex[:12]}"
        self._admin(f'CREATE ROLE "{role}" LOGIN')
        self.roles.append(role)
        return role

    def query(self, sql, *values):
        """All rows; connects again after a restart of the server."""
        for last in (False, True):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self.postgres.connect(self.name)
                with self._connection.cursor() as cursor:
                    cursor.execute(sql, values or None)
                    return cursor.fetchall() if cursor.description else []
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self.close()
                if last:
                    raise
        return []

    def value(self, sql, *values):
        return self.query(sql, *values)[0][0]

    def try_count(self, table):
        """Rows of a table; 0 while there is no table."""
        try:
            return self.value(f"SELECT count(*) FROM {table}")
        except psycopg2.errors.UndefinedTable:
            return 0

    def begin(self, statement=None):
        """Another session, in a transaction that begins with that."""
        session = self.postgres.connect(self.name)
        session.autocommit = False
        if statement:
            session.cursor().execute(statement)
        return session

    def waits(self, seconds=0):
        """Whether a statement here waits for a lock, and for so long."""
        return self.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname ="
            " current_database() AND wait_event_type = 'Lock' AND"
            " clock_timestamp() - query_start >= %s * interval '1 s'",
            seconds) > 0

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def drop(self):
        self.close()
        if not self.postgres.alive():
            return
        self._admin(f'DROP DATABASE "{self.name}" WITH (FORCE)')
        for role in self.roles:
            self._admin(f'DROP ROLE "{role}"')
