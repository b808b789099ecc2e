"""The cluster, by hand.

python3 -m tests.cluster up         starts it and returns; it stays
python3 -m tests.cluster down       stops it
python3 -m tests.cluster show       a line a second for each host, until Ctrl-C
python3 -m tests.cluster tour       breaks it and counts; --short: one failure
python3 -m tests.cluster roll       replaces every program under load, and counts
python3 -m tests.cluster run WORD…  a command among the hosts: curl, psql
python3 -m tests.cluster on HOST WORD…   a command on a host
"""

import os
import sys

from tests.cluster.cluster import Cluster, main, say
from tests.cluster.roll import roll
from tests.cluster.show import show
from tests.cluster.tour import tour


def needed():
    cluster = Cluster.attach()
    if cluster is None:
        sys.exit("the cluster is not up: make cluster-up")
    return cluster


def up():
    if Cluster.state():
        print("the cluster is up; build/cluster/state.json says where")
        return
    cluster = Cluster.new()
    try:
        cluster.up()
    except BaseException:
        cluster.down()
        raise
    say("python3 -m tests.cluster run curl --json '{\"id\":\"1\"}' "
        f"http://{cluster.front.address}:{cluster.front.port}/events")


def down():
    cluster = Cluster.attach()
    if cluster:
        cluster.down()


def run(prefix=()):
    words = [*prefix, *sys.argv[2 + bool(prefix):]]
    os.execvp(words[0], words)


def work():
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command == "up":
        up()
    elif command == "down":
        down()
    elif command == "show":
        show(needed())
    elif command == "tour":
        return tour("--short" in sys.argv)
    elif command == "roll":
        return roll()
    elif command == "run" and len(sys.argv) > 2:
        needed()
        run()
    elif command == "on" and len(sys.argv) > 3:
        run(needed().hosts[sys.argv[2]].inside)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(work)
