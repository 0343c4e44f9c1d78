"""Real Cassandra on a real cluster: three nodes on three agents, a writer throughout, a kill -9 of everything in turn, and a ring's whole
life as plans: another setting, another disk for a node, a fourth node, and three again.

At the end each row that was acknowledged at QUORUM is read back, and the host ids are those from before. Relies on $HOLDFAST_CASSANDRA_JARS,
the folder of Cassandra's jars, and on the package `cassandra-driver`. With `--bounded` it leaves out what the framework's own tests show too.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import zlib

import cassandra
from cassandra import ConsistencyLevel
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster as Driver, ExecutionProfile
from cassandra.policies import ConstantReconnectionPolicy, RoundRobinPolicy

from _cluster import BIN, SCRATCH, Cluster, Daemon, free_ports, kill, until, words_of

JARS = os.environ["HOLDFAST_CASSANDRA_JARS"]
BOUNDED = "--bounded" in sys.argv[1:]
# The addresses of the nodes.
ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
STORAGE, NATIVE, JMX = free_ports(3, ADDRESSES + ["127.0.0.4"])
# What each agent has: room for one node.
RESOURCES = "cpus:2;mem:2048;disk:4096;ports:[%s]" % ",".join("%s-%s" % (it, it) for it in (STORAGE, NATIVE, JMX))

# Where backups are; whoever runs the nodes may write there.
BACKUPS = os.path.join(SCRATCH, "backups")

# What was done, and how many seconds it took.
STEPS = []


def user():
    """Who runs the nodes: where we are root somebody who is not, if he can reach what he needs."""
    if os.geteuid() != 0:
        return []
    for path in (SCRATCH, JARS, BIN):
        while path != "/":
            if not os.stat(path).st_mode & 0o001:
                print("nodes run as root, since others may not pass %s" % path)
                return ["--allow-root"]
            path = os.path.dirname(path)
    return ["--user", "nobody"]


def scheduler(cluster):
    options = [
        "--master", cluster.address, "--nodes", str(len(ADDRESSES)),
        "--ledger", os.path.join(SCRATCH, "ledger"), "--jars", JARS,
        "--drain-timeout-s", "30", "--backup-dir", BACKUPS, "--cluster-name", "story",
        "--rack-attribute", "rack", "--num-tokens", "4", "--cpus", "2", "--mem-mb", "1024", "--heap-mb", "192",
        "--disk-mb", "2048", "--storage-port", STORAGE, "--native-transport-port", NATIVE, "--jmx-port", JMX,
        # A ring that is as small as this agrees sooner than Cassandra waits for.
        "--jvm-option", "-Dcassandra.ring_delay_ms=2000", "--jvm-option", "-Dcassandra.skip_wait_for_gossip_to_settle=0",
        "--jvm-option", "-Dcassandra.superuser_setup_delay_ms=0",
    ]
    return Daemon("scheduler", "holdfast-cassandra", "scheduler", *(options + user()))


def step(name):
    """Measures a block, and prints its name and how long it took."""
    class Step:
        def __enter__(self):
            self.begun = time.monotonic()

        def __exit__(self, kind, error, trace):
            took = time.monotonic() - self.begun
            STEPS.append((name, took))
            print("%8.1f s  %s" % (took, name if kind is None else name + ": FAILED"), flush=True)
    return Step()


def ring(address):
    """The nodes of the ring as one of them sees it, by host id; empty while it does not answer."""
    command = [os.path.join(BIN, "holdfast-cassandra"), "status", address, "--port", NATIVE, "-o", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    rows = json.loads(done.stdout) if done.returncode == 0 else []
    return {row["host_id"]: row for row in rows}


def tasks(cluster):
    """The live tasks of the service, by node."""
    live = [row for row in cluster.list("tasks") if row["state"] in ("TASK_RUNNING", "TASK_STAGING", "TASK_STARTING")]
    return {int(row["name"].rsplit("-", 1)[1]): row for row in live if row["name"].startswith("cassandra-")}


def host_ids():
    """Each node's own host id, by address."""
    found = {}
    for address in ADDRESSES:
        for host, row in ring(address).items():
            if row["address"] == address and row["status"] == "NORMAL":
                found[address] = host
    return found


def whole(cluster):
    """Whether every agent is well, every node runs, and each sees all of them as normal."""
    rows, count = tasks(cluster), len(ADDRESSES)
    if cluster.well() != len(cluster.agents) or len(rows) != count or any(row["state"] != "TASK_RUNNING" for row in rows.values()):
        return False
    return all(sum(row["status"] == "NORMAL" for row in ring(it).values()) == count for it in ADDRESSES)


def process(cluster, number, word):
    """The process of an agent's container whose command line has this word."""
    found = [pid for pid in cluster.containers(number) if any(word in it for it in words_of(pid)[:3] + words_of(pid)[-1:])]
    assert found, "agent %d runs no %s" % (number, word)
    return found[0]


class Writer(threading.Thread):
    """Writes rows with checksums at QUORUM, each under a key of its own, and remembers those that were acknowledged."""

    def __init__(self):
        super().__init__(daemon=True)
        profile = ExecutionProfile(
            load_balancing_policy=RoundRobinPolicy(), consistency_level=ConsistencyLevel.QUORUM, request_timeout=10)
        self.driver = Driver(
            ADDRESSES, port=int(NATIVE), protocol_version=4, execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            reconnection_policy=ConstantReconnectionPolicy(0.5, max_attempts=None), connect_timeout=5)
        self.session = until("a driver connects", self._connect, within=60)
        self.session.execute(
            "CREATE KEYSPACE IF NOT EXISTS story WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}", timeout=60)
        self.session.execute("CREATE TABLE IF NOT EXISTS story.rows (k text PRIMARY KEY, v text, sum bigint)", timeout=60)
        self.insert = self.session.prepare("INSERT INTO story.rows (k, v, sum) VALUES (?, ?, ?)")
        self.select = self.session.prepare("SELECT v, sum FROM story.rows WHERE k = ?")
        self.acknowledged, self.refused, self.longest = {}, 0, 0.0
        self.is_over = False

    def _connect(self):
        try:
            return self.driver.connect()
        except (cassandra.cluster.NoHostAvailable, OSError):
            return None

    def run(self):
        number, last = 0, time.monotonic()
        while not self.is_over:
            key, value = "row-%d" % number, "value %d of %d" % (number, time.time_ns())
            number += 1
            checksum = zlib.crc32(value.encode())
            try:
                self.session.execute(self.insert, (key, value, checksum))
            except Exception:
                # Whether it was written is not known; nobody was told that it was.
                self.refused += 1
                time.sleep(0.1)
                continue
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
            self.acknowledged[key] = (value, checksum)
            time.sleep(0.005)

    def stop(self):
        self.is_over = True
        self.join()

    def wait_for_more(self):
        """Waits until rows are acknowledged that were not when it was called."""
        before = len(self.acknowledged)
        until("rows are acknowledged again", lambda: before + 10 < len(self.acknowledged), within=60)

    def all_replicas_answer(self):
        """Whether every replica answers: a read at ALL, which each node takes part in."""
        read = self.select.bind(("row-0",))
        read.consistency_level = ConsistencyLevel.ALL
        try:
            return self.session.execute(read, timeout=5).one() is not None
        except Exception:
            return False

    def read_back(self):
        """How many of the acknowledged rows are there as they were written, and which are not."""
        lost, keys = [], list(self.acknowledged)
        answers = execute_concurrent_with_args(
            self.session, self.select, [(key,) for key in keys], concurrency=16, raise_on_first_error=False)
        for key, (is_answered, rows) in zip(keys, answers):
            value, checksum = self.acknowledged[key]
            # What was not answered in the throng is asked for by itself.
            row = (rows.one() or "nothing") if is_answered else until(
                "row %s is read" % key, lambda: self._read(key), within=60)
            if row == "nothing" or (row.v, row.sum) != (value, checksum) or zlib.crc32(row.v.encode()) != row.sum:
                lost.append(key)
        return len(self.acknowledged) - len(lost), lost

    def _read(self, key):
        try:
            return self.session.execute(self.select, (key,)).one() or "nothing"
        except Exception:
            return None


def killed(cluster, writer, name, blow, is_another_task):
    """Strikes, and waits until everything serves again and rows are acknowledged."""
    with step("kill -9 %s: until all nodes serve" % name):
        before = {row["id"] for row in tasks(cluster).values()}
        blow()
        if is_another_task:
            # Or the ring from before would count.
            until("a node is started anew", lambda: {row["id"] for row in tasks(cluster).values()} - before, within=120)
        until("every node serves again", lambda: whole(cluster) and writer.all_replicas_answer(), within=300, pause=0.2)
        writer.wait_for_more()


def gone(pid):
    kill(pid)
    until("process %d is gone" % pid, lambda: not os.path.exists("/proc/%d" % pid))


def machines(cluster, *numbers):
    """Agents and all of their containers, as when machines lose their power; then they are back."""
    for number in numbers:
        cluster.agents[number - 1].kill()

    def none_left():
        left = [pid for number in numbers for pid in cluster.containers(number)]
        for pid in left:
            kill(pid)
        return not left
    until("the machines are still", none_left)
    for number in numbers:
        cluster.agents[number - 1].start()


def again(daemon):
    daemon.kill()
    daemon.start()


def subscribed_again(service):
    """Ends the scheduler's process; another one over the same ledger takes up where it was."""
    before = service.text().count("subscribed at")
    again(service)
    until("the scheduler is subscribed", lambda: before < service.text().count("subscribed at"))


def drained(cluster, writer):
    """Stops a node in order: it drains, and comes back without reading its commit log."""
    with step("a node is stopped in order: until all serve again"):
        name = tasks(cluster)[2]["id"]
        subprocess.run([os.path.join(BIN, "holdfast"), "--master", cluster.address, "task", "kill", name, "-y"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        until("it is another task", lambda: tasks(cluster).get(2, {}).get("id", name) != name, within=120)
        until("every node serves again", lambda: whole(cluster) and writer.all_replicas_answer(), within=180, pause=0.2)
    assert "was drained before" in cluster.others[0].text(), cluster.others[0].tail()


def refused(cluster, writer):
    """Takes a node's data away while nobody looks: it does not start on the empty directory, and is back when they are."""
    with step("a node's directory is emptied: until it is refused, and back with its data"):
        folder = os.path.join(cluster.agent_dir(3), "holdfast", "volumes")
        data = os.path.join(folder, os.listdir(folder)[0], "data")
        aside = os.path.join(SCRATCH, "aside")
        os.mkdir(aside)
        java = process(cluster, 3, "CassandraDaemon")
        names = os.listdir(data)
        for name in names:
            os.rename(os.path.join(data, name), os.path.join(aside, name))
        gone(java)
        until("it is refused", lambda: "its directory is empty, but it joined the ring as host" in cluster.others[0].text(), within=120)
        assert not os.listdir(data), "something was written in the place of what is missing"
        for name in names:
            os.rename(os.path.join(aside, name), os.path.join(data, name))
        until("every node serves again", lambda: whole(cluster) and writer.all_replicas_answer(), within=180, pause=0.2)


def service_says(cluster, *words):
    """What `holdfast service` prints, as a value; nothing while the service does not answer."""
    command = [os.path.join(BIN, "holdfast"), "--master", cluster.address, "service"] + list(words) + ["-o", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return json.loads(done.stdout) if done.returncode == 0 else None


def service_is_told(cluster, *words):
    """Tells the service something, which must be accepted."""
    command = [os.path.join(BIN, "holdfast"), "--master", cluster.address, "service"] + list(words)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stdout.decode())


def plan(cluster, kind):
    """The last plan of a kind."""
    rows = service_says(cluster, "plans", "cassandra") or []
    return next((row for row in rows if row["name"] == kind), None)


def is_complete(cluster, kind):
    row = plan(cluster, kind)
    assert row is None or row["state"] != "ERROR", row
    return row is not None and row["state"] == "COMPLETE"


def completed(cluster, writer, kind):
    """Waits until a plan is complete, and everything serves and acknowledges."""
    until("plan %s is complete" % kind, lambda: is_complete(cluster, kind), within=420, pause=0.5)
    until("every node serves", lambda: whole(cluster) and writer.all_replicas_answer(), within=180, pause=0.2)
    writer.wait_for_more()


def rolled_out(cluster, writer, service):
    """Starts the scheduler with another setting: one node after the other drains and comes back with it, while rows are written."""
    with step("another setting is rolled out, node by node"):
        before = {row["id"] for row in tasks(cluster).values()}
        service.command += ["--set", "concurrent_reads=5"]
        again(service)
        until("the plan begins", lambda: plan(cluster, "update"), within=60)
        completed(cluster, writer, "update")
        after = {row["id"] for row in tasks(cluster).values()}
        assert not before & after, "a node was not started anew"
        for number in range(1, 4):
            sandbox = os.readlink("/proc/%d/cwd" % process(cluster, number, "CassandraDaemon"))
            with open(os.path.join(sandbox, "conf", "cassandra.yaml")) as file:
                assert "concurrent_reads: 5\n" in file.read(), sandbox


def replaced(cluster, writer):
    """Gives a node another, empty volume: a new node takes its place in the ring. What it had is kept until it is released."""
    with step("a node is replaced on a new volume: until all serve, and its old claim is released"):
        before = host_ids()
        row = next(row for row in service_says(cluster, "pods", "cassandra") if row["hostname"] == "127.0.0.2")
        name, volume = row["name"], row["volumes"][0]["id"]
        service_is_told(cluster, "replace", "cassandra", name, "-y")

        def joined():
            rows = service_says(cluster, "pods", "cassandra") or []
            return next((it for it in rows if it["name"] == name and it["kept"] and it["state"] == "READY"), None)
        row = until("the new node has joined, and the old claim is kept", joined, within=420, pause=0.5)
        assert row["volumes"][0]["id"] != volume, row
        until("every node serves", lambda: whole(cluster) and writer.all_replicas_answer(), within=180, pause=0.2)
        volumes = [it["volume"] for it in cluster.list("claims") if it.get("volume")]
        assert volume in volumes, "what it had was given up before anybody said so: %s" % volumes
        service_is_told(cluster, "release", "cassandra", name, "-y")
        completed(cluster, writer, "replace")
        # Under the address of before it is the host of before, with another disk.
        assert host_ids() == before, (before, host_ids())


def grown(cluster, writer):
    """Asks for one node more, on a new machine, while another node hangs: it joins once that answers, and the others clean up."""
    with step("a fourth node waits for one that hangs, joins, and the others clean up"):
        java = process(cluster, 3, "CassandraDaemon")
        os.kill(java, signal.SIGSTOP)
        try:
            cluster.add_agent("r1", RESOURCES)
            service_is_told(cluster, "scale", "cassandra", "node", "4")
            until("it waits", lambda: "the ring is not calm: node 127.0.0.3: it did not answer" in json.dumps(
                plan(cluster, "scale")), within=120, pause=0.5)
        finally:
            os.kill(java, signal.SIGCONT)
        ADDRESSES.append("127.0.0.4")
        completed(cluster, writer, "scale")
        steps = json.dumps(plan(cluster, "scale"))
        assert all("node-%d:cleanup" % it in steps for it in range(3)), steps


def shrunk(cluster, writer):
    """Asks for three nodes again: the fourth gives its data to the others, leaves, and its claim is given up."""
    with step("the fourth node leaves: until its claim is given up"):
        ADDRESSES.pop()
        service_is_told(cluster, "scale", "cassandra", "node", "3")
        completed(cluster, writer, "decommission")
        volumes = [row for row in cluster.list("claims") if row.get("volume") and row["role"] == "cassandra"]
        assert len(volumes) == 3, volumes


def repaired(cluster, writer):
    """Has every node repair the ranges that it is first for."""
    with step("every node repairs its ranges"):
        service_is_told(cluster, "repair", "cassandra")
        completed(cluster, writer, "repair")


def backed_up(cluster, writer):
    """Backs all nodes up, empties a table, and has it back from the backup, in which a byte that changed is seen."""
    session, rows = writer.session, {number: "row %d" % number for number in range(300)}
    session.execute("CREATE TABLE story.kept (k int PRIMARY KEY, v text)", timeout=60)
    insert = session.prepare("INSERT INTO story.kept (k, v) VALUES (?, ?)")
    for row in rows.items():
        until("row %d is acknowledged" % row[0], lambda: written(session, insert, row))
    with step("a backup of all nodes: flushed, copied, and every byte read back"):
        service_is_told(cluster, "backup", "cassandra")
        completed(cluster, writer, "backup")
    until("the table is emptied", lambda: written(session, session.prepare("TRUNCATE story.kept"), ()), within=60)
    assert not list(session.execute("SELECT k FROM story.kept")), "it was not emptied"
    manifests = [os.path.join(folder, "holdfast-backup.json") for folder, _, names in os.walk(BACKUPS) if "holdfast-backup.json" in names]
    assert len(manifests) == len(ADDRESSES), manifests
    with open(os.path.join(os.path.dirname(manifests[0]), spoilt(manifests[0])), "r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
        file.flush()
        with step("a restoration stops at a backup with a byte that changed, and is done once it is right"):
            service_is_told(cluster, "restore", "cassandra")
            row = until("it stops", lambda: (lambda it: it if it and it["state"] == "ERROR" else None)(plan(cluster, "restore")),
                        within=240, pause=0.5)
            assert "is not as it was written" in json.dumps(row), row
            file.seek(0)
            file.write(first)
            file.flush()
            name = next(it["name"] for phase in row["phases"] for it in phase["steps"] if it["state"] == "ERROR")
            service_is_told(cluster, "retry", "cassandra", name)
            completed(cluster, writer, "restore")
    found = {row.k: row.v for row in session.execute("SELECT k, v FROM story.kept")}
    assert found == rows, "%d of %d rows are back" % (len(found), len(rows))


def spoilt(manifest):
    """A file of a backup, below its directory."""
    with open(manifest) as file:
        entry = next(it for it in json.load(file)["files"] if it["name"].endswith("-Data.db"))
    return os.path.join(entry["keyspace"], entry["table"], entry["name"])


def written(session, statement, values):
    """Whether a statement was acknowledged."""
    try:
        session.execute(statement, values, timeout=30)
        return True
    except Exception:
        return False


def story(cluster):
    os.makedirs(BACKUPS)
    os.chmod(BACKUPS, 0o777)
    service = scheduler(cluster)
    cluster.others.append(service)
    with step("three nodes join, one after the other"):
        service.start()
        until("every node serves", lambda: whole(cluster), within=300, pause=0.2)
    before = host_ids()
    assert len(before) == len(ADDRESSES), before
    writer = Writer()
    writer.start()
    writer.wait_for_more()
    blows = [
        ("a node's java", lambda: gone(process(cluster, 1, "CassandraDaemon")), True),
        ("an executor", lambda: gone(process(cluster, 2, "holdfast-cassandra")), True),
        ("an agent", lambda: again(cluster.agents[2]), False),
        ("a whole machine", lambda: machines(cluster, 3), True),
        ("the scheduler", lambda: subscribed_again(service), False),
        ("the master", lambda: again(cluster.master), False),
    ]
    for name, blow, is_another_task in blows:
        killed(cluster, writer, name, blow, is_another_task)
    if not BOUNDED:
        killed(cluster, writer, "all machines at once", lambda: machines(cluster, 1, 2, 3), True)
        drained(cluster, writer)
        refused(cluster, writer)
    rolled_out(cluster, writer, service)
    if not BOUNDED:
        replaced(cluster, writer)
        grown(cluster, writer)
        shrunk(cluster, writer)
        repaired(cluster, writer)
        backed_up(cluster, writer)
    writer.stop()
    with step("all acknowledged rows are read back at QUORUM"):
        read, lost = writer.read_back()
    after = host_ids()
    print()
    print("  rows acknowledged   %6d   refused or not answered %d, longest time without one %.1f s" % (
        len(writer.acknowledged), writer.refused, writer.longest))
    print("  rows read back      %6d" % read)
    print("  rows lost           %6d   %s" % (len(lost), " ".join(lost[:5])))
    for address in ADDRESSES:
        same = "the same" if before[address] == after.get(address) else "NOT %s" % after.get(address)
        print("  host id at %s  %s  %s" % (address, before[address], same))
    print("  seconds             %6.1f" % sum(took for _, took in STEPS))
    return not lost and before == after and read == len(writer.acknowledged)


def main():
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    # Two in one rack: Cassandra chooses tokens for no more replicas than there are racks.
    cluster = Cluster(["r1", "r2", "r2"], RESOURCES)
    try:
        passed = story(cluster)
    except BaseException:
        print(cluster.logs(), flush=True)
        raise
    finally:
        cluster.end()
    print("  verdict: %s" % ("PASSED" if passed else "FAILED"))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
