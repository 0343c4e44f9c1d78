"""Three masters on three ZooKeeper servers: found by PyPI's kazoo and pymesos as they find real ones, killed with -9, and cut off from ZooKeeper.

An agent and the command line find the leader by zk://, too. A volume is claimed through the first leader; after each loss the claim is the same,
and so are the bytes in it: of the leader, of the ZooKeeper server that leads, of all masters at once, of all ZooKeeper servers.

Relies on _cluster.py, _zookeeper.py and _scheduler.py. Ends with exit code 0 only when every step was seen.
"""

import atexit
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, NoNodeError, SessionExpiredError

from _cluster import BIN, RESOURCES, SCRATCH, Cluster, Daemon, until
from _scheduler import Session
from _zookeeper import JAR, Ensemble

WORDS = "every acknowledged record"
DEPOSED, UNWRITTEN = 75, 74
BEGAN = time.monotonic()


def say(*words):
    print("%7.2f s  %s" % (time.monotonic() - BEGAN, " ".join(str(word) for word in words)), flush=True)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def answer(address, path):
    """Status and Location of an answer, redirects not followed."""
    try:
        with urllib.request.build_opener(NoRedirect).open("http://%s%s" % (address, path), timeout=20) as got:
            return got.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Location")


class Masters(Cluster):
    """Three masters and an agent, which know each other only by ZooKeeper."""

    def __init__(self, ensemble):
        self.scratch = SCRATCH
        self.agent_dir = os.path.join(SCRATCH, "agent")
        self.zk = "zk://%s/mesos" % ensemble.hosts()
        # A session that is long: only a standby that deposes replaces a leader that is stopped.
        settings = ["--zk", self.zk, "--zk-session-timeout", "20s", "--zk-commit-timeout", "4s"]
        names = ["master-%d" % it for it in range(3)]
        self.masters = [Daemon(it, "master", "--dir", os.path.join(SCRATCH, it), *settings) for it in names]
        self.agent = None
        atexit.register(self.end)
        # Without this an end by signal would skip what was registered.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.kazoo = KazooClient(ensemble.hosts())
        self.kazoo.start(timeout=60)
        for it in self.masters:
            it.start()
        self.agent = Daemon("agent", "agent", "--dir", self.agent_dir, "--master", self.zk, "--resources", RESOURCES)
        self.agent.start()
        self.wait_for_agent()

    def info(self):
        """What clients of Mesos read: the lowest child that is not the log."""
        try:
            children = sorted(it for it in self.kazoo.get_children("/mesos") if it != "log_replicas")
            return json.loads(self.kazoo.get("/mesos/" + children[0])[0]) if children else None
        except (NoNodeError, ConnectionLoss, SessionExpiredError):
            return None  # A master has just left, or its ensemble has: whoever waits looks again.

    def leading(self):
        """The master that leads and answers."""
        info = self.info()
        address = info and "%s:%d" % (info["hostname"], info["port"])
        found = [it for it in self.masters if it.process is not None and it.address == address]
        return found and answer(address, "/holdfast/v1/claims")[0] == 200 and found[0]

    @property
    def master(self):
        return until("a master leads", self.leading, within=60.0)

    def wait_for_agent(self):
        def well():
            try:
                return [row for row in self.list("agents") if row["state"] == "well"]
            except (OSError, urllib.error.URLError):
                return None

        until("the agent is well", well, within=60.0)

    def cli(self, *words):
        done = subprocess.run([BIN, "--master", self.zk] + list(words), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (words, done)
        return done.stdout

    def claims(self):
        told = ("id", "generation", "state", "role", "agent", "disk", "amount", "name")
        return [{it: row.get(it) for it in told} for row in self.list("claims")]

    def logs(self):
        return "".join("--- %s ---\n%s" % (it.name, it.tail()) for it in self.masters + [self.agent] if it is not None)

    def end(self):
        for daemon in [self.agent] + self.masters:
            if daemon is not None:
                daemon.kill()
        self.kazoo.stop()
        until("the end of all containers", self._end_containers)
        self._remove_groups()


def is_published_as_mesos_does(cluster):
    names = cluster.kazoo.get_children("/mesos")
    assert len(names) == 3 and all(re.fullmatch(r"json\.info_\d{10}", it) for it in names), names
    for name in names:
        data, stat = cluster.kazoo.get("/mesos/" + name)
        assert stat.ephemeralOwner != 0 and b"\n" not in data, data
        info = json.loads(data)
        assert info["pid"] == "master@%s:%d" % (info["address"]["ip"], info["port"]), info
        assert socket.inet_ntoa(struct.pack("<I", info["ip"])) == info["address"]["ip"], info
        assert (info["address"]["hostname"], info["address"]["port"]) == (info["hostname"], info["port"]), info
        assert info["id"] and info["version"] and info["capabilities"] == [], info


def standbys_redirect(cluster):
    leader = cluster.master
    for standby in cluster.masters:
        if standby is not leader and standby.process is not None:
            expected = (307, "//%s/master/state" % leader.address)
            got = until("a redirect", lambda: answer(standby.address, "/master/state")[0] == 307 and answer(standby.address, "/master/state"))
            assert got[1].startswith("//%s" % leader.address), (got, expected)
            assert answer(standby.address, "/health")[0] == 200


def is_whole(cluster, claims, record):
    cluster.wait_for_agent()
    assert cluster.claims() == claims, (cluster.claims(), claims)
    with open(record) as file:
        assert file.read() == WORDS
    assert "data-0" in cluster.cli("claim", "list", "-o", "json"), "the command line finds the leader"


def ends_by_itself(daemon):
    code = until("%s ends" % daemon.name, lambda: daemon.process.poll() is not None and [daemon.process.poll()], within=60.0)[0]
    daemon.process = None
    return code


def replaces_a_leader_that_is_stopped(cluster, framework, kept):
    """Stopped, not killed: its connections stand and its session does not end, so only another master can see that it does not answer."""
    stopped, was = cluster.master, cluster.info()
    heard = framework.count("registered") + framework.count("reregistered")
    began = time.monotonic()
    stopped.process.send_signal(signal.SIGSTOP)
    try:
        # Whoever is stopped is not asked: it would be waited for.
        until("the stopped leader is deposed", lambda: (cluster.info() or was) != was, within=60.0)
        successor = until("a standby leads", lambda: cluster.leading() or None, within=60.0)
        assert successor is not stopped and "it is deposed" in "".join(it.tail() for it in cluster.masters)
        is_whole(cluster, *kept)
        say("the leader was stopped; %.2f s later the next one leads and the claim is whole" % (time.monotonic() - began))
        # What is acknowledged while it is away must not be lost by its return.
        cluster.cli("reservation", "create", "disk:10", "--agent", cluster.list("agents")[0]["hostname"], "--role", "meanwhile")
        claims = cluster.claims()
        assert len(claims) == 2, claims
        until("pymesos follows", lambda: heard < framework.count("registered") + framework.count("reregistered"), within=60.0)
    finally:
        stopped.process.send_signal(signal.SIGCONT)
    assert ends_by_itself(stopped) == DEPOSED and "its election node was removed" in stopped.tail(), stopped.tail()
    assert cluster.master is successor, "who was deposed has no say any more"
    stopped.start()
    is_whole(cluster, claims, kept[1])
    assert cluster.master is successor, "it comes back as the last"
    say("it went on, stood down with", DEPOSED, "and stands by again")
    return claims


def main():
    if not os.path.exists(JAR):
        print("left out: masters on ZooKeeper: %s is not there; try: apt-get install zookeeper" % JAR)
        return
    ensemble = Ensemble(3)
    cluster = Masters(ensemble)
    try:
        tell(ensemble, cluster)
    except BaseException:
        print(cluster.logs(), flush=True)
        raise


def tell(ensemble, cluster):
    first = cluster.master
    is_published_as_mesos_does(cluster)
    standbys_redirect(cluster)
    say("three masters, an agent; kazoo reads", cluster.info())
    framework = Session(cluster.zk, "by-zk", "anyone", None, [], "ops", "recorder", failover=True)
    framework.wait("SUBSCRIBED", "registered", within=60.0)
    host = cluster.list("agents")[0]["hostname"]
    cluster.cli("reservation", "create", "disk:100", "--agent", host, "--role", "db")
    cluster.cli("volume", "create", "data-0", "--agent", host, "--role", "db", "--size", "100")
    claims = cluster.claims()
    (volume,) = cluster.volume_dirs()
    record = os.path.join(cluster.agent_dir, "holdfast", "volumes", volume, "data", "record")
    with open(record, "w") as file:
        file.write(WORDS)

    heard = framework.count("registered") + framework.count("reregistered")
    began = time.monotonic()
    first.kill()
    second = until("another master leads", lambda: cluster.leading() or None, within=60.0)
    assert second is not first
    is_whole(cluster, claims, record)
    say("the leader was killed; %.2f s later the next one leads and the claim is whole" % (time.monotonic() - began))
    until("pymesos follows", lambda: heard < framework.count("registered") + framework.count("reregistered"), within=60.0)
    say("pymesos has followed by itself")

    claims = replaces_a_leader_that_is_stopped(cluster, framework, (claims, record))
    second = cluster.master
    first.start()
    is_whole(cluster, claims, record)

    leading = ensemble.leading()
    ensemble.kill(leading)
    cluster.cli("reservation", "create", "disk:10", "--agent", host, "--role", "more")
    ensemble.start(leading)
    ensemble.wait_for(leading)
    claims = cluster.claims()
    assert len(claims) == 3 and cluster.master is second, "the leader has outlived it"
    say("the ZooKeeper server that leads was killed; the master has gone on")

    is_published_as_mesos_does(cluster)
    for it in cluster.masters:
        it.kill()
    for it in cluster.masters:
        it.start()
    is_whole(cluster, claims, record)
    say("all masters were killed and started again")

    leader = cluster.master
    for at in range(3):
        ensemble.kill(at)
    code = ends_by_itself(leader)
    # The watch over its lease has found it out, or a commit that was under way.
    why = "cut off from the ensemble" if code == DEPOSED else "the ensemble has not answered"
    assert code in (DEPOSED, UNWRITTEN) and why in leader.tail(), (code, leader.tail())
    for it in cluster.masters:
        assert it is leader or it.process.poll() is None, "a standby waits for ZooKeeper: %s" % it.tail()
    say("all ZooKeeper servers were killed; the leader has stopped by itself with", code)
    for at in range(3):
        ensemble.start(at)
    leader.start()
    is_whole(cluster, claims, record)
    say("they are back, and everything is as it was")
    cluster.masters[0].process.send_signal(signal.SIGTERM)
    cluster.masters[0].process.wait(timeout=30)
    framework.stop()


main()
