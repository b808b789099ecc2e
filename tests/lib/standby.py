"""A PostgreSQL primary and the standby that follows it."""

import contextlib
import os
import signal

from tests.lib import procs
from tests.lib.database import Database
from tests.lib.env import wait_for
from tests.lib.servers import Postgres


class Primary(Postgres):
    def __init__(self, directory, settings=(), **more):
        super().__init__(directory, ["wal_level=replica", *settings], **more)

    def query(self, sql):
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def set(self, **settings):
        """ALTER SYSTEM, at once."""
        for name, value in settings.items():
            value = value.replace("'", "''")
            self.query(f"ALTER SYSTEM SET {name} = '{value}'")
        self.query("SELECT pg_reload_conf()")

    def freeze(self):
        """SIGSTOP to all: connections are taken, and nothing answers."""
        self.pause()
        for pid in procs.children(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def die(self):
        """SIGKILL to all: no child outlives the postmaster."""
        pids = [self.pid, *procs.children(self.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        procs.wait_gone(pids, 10)


class Standby(Primary):
    """A copy of a primary that follows it, until it is promoted."""

    def follow(self, primary):
        self._call("copy", self.directory, primary.conninfo())
        return self.start()

    def streams(self):
        return self.query("SELECT FROM pg_stat_wal_receiver"
                          " WHERE status = 'streaming'") != []

    def lag(self):
        """Nothing more reaches it, until it catches up."""
        self.upstream = self.query("SHOW primary_conninfo")[0][0]
        self.set(primary_conninfo="")
        wait_for(lambda: not self.streams(), 20, "it follows no more")

    def catch_up(self):
        self.set(primary_conninfo=self.upstream)

    def promote(self):
        """What it has received counts from now on, and nothing else does."""
        assert self.query("SELECT pg_promote(true, 60)") == [(True,)]


class FarPrimary(Primary):
    """On the other side of a Network."""

    def __init__(self, network, directory, port):
        super().__init__(directory, [
            f"listen_addresses=127.0.0.1,{network.far}",
            f"hba_file={directory}/hba"], port=port)
        self.address = network.far
        self.prefix = network.inside
        directory.mkdir()
        (directory / "hba").write_text(
            "host all,replication all 127.0.0.1/32 trust\n"
            f"host all,replication all {network.near}/32 trust\n")


class One(Database):
    """The database "sluice" of a server, which goes with the server."""

    def __init__(self, server):
        self.postgres = server
        self.name = "sluice"
        self._connection = None


def hosts(*servers, attrs="read-write"):
    """A conninfo that names them in this order."""
    return (f"host={','.join('127.0.0.1' for _ in servers)}"
            f" port={','.join(str(server.port) for server in servers)}"
            " dbname=sluice user=sluice"
            + (f" target_session_attrs={attrs}" if attrs else ""))
