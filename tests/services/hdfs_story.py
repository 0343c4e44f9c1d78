"""Real HDFS on a real cluster: three agents, ZooKeeper from Debian, files written throughout, and a kill -9 of everything in turn.

At the end each file that was acknowledged is read back and held against its checksum, fsck is healthy, and the file system is the one that
was formatted. Relies on $HOLDFAST_HDFS_JARS, the folder of Hadoop's jars. Files are written and read by WebHDFS, the REST interface of name
nodes and data nodes. With `--bounded` it leaves out what takes longer.
"""

import glob
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib

import _cluster
from _cluster import BIN, SCRATCH, Cluster, Daemon, free_ports, is_free, kill, until, words_of

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "compat"))
import _zookeeper  # noqa: E402

JARS = os.environ["HOLDFAST_HDFS_JARS"]
BOUNDED = "--bounded" in sys.argv[1:]
# Ports of this story, so that it may run beside another one. A name node knows data nodes by the address that they come from, which on
# loopback is one for all: so each agent has ports that no other has.
PORTS = range(22000, 24000)
PORTS_EACH = 24
_cluster.PORTS = iter(range(PORTS[0] + os.getpid() % 900, PORTS[-1]))
# What each agent has: room for a journal node, a name node and a data node, and for one more of them.
RESOURCES = "cpus:4;mem:4096;disk:16384"
JOURNAL, NAME, DATA = "qjournal.server.JournalNode", "namenode.NameNode", "datanode.DataNode"

# What was done, and how many seconds it took.
STEPS = []


def user():
    """Who runs the members: where we are root somebody who is not, if he can reach what he needs."""
    if os.geteuid() != 0:
        return os.environ.get("USER", "root"), []
    for path in (SCRATCH, JARS, BIN):
        while path != "/":
            if not os.stat(path).st_mode & 0o001:
                print("members run as root, since others may not pass %s" % path)
                return "root", ["--allow-root"]
            path = os.path.dirname(path)
    return "nobody", ["--user", "nobody"]


USER, AS_USER = user()


class Machines(Cluster):
    """The cluster, with its agents on addresses and ports that no other story has."""

    def add_agent(self, rack, resources):
        number = len(self.agents) + 1
        first = until("free ports", lambda: self._free(number))
        ports = ";ports:[%d-%d]" % (first, first + PORTS_EACH - 1)
        agent = Daemon(
            "agent-%d" % number, "holdfast", "agent", "--dir", self.agent_dir(number), "--master", self.address,
            "--ip", address(number), "--port", self.agent_port, "--resources", resources + ports, "--attributes", "rack:" + rack)
        self.agents.append(agent.start())

    def _free(self, number):
        """The first of so many ports in a row that are free."""
        first = int(free_ports(1, [address(number)])[0])
        row = range(first, first + PORTS_EACH)
        if not all(is_free(address(number), port) and is_free("127.0.0.1", port) for port in row):
            return None
        _cluster.PORTS = iter(range(row[-1] + 1, PORTS[-1]))
        return first


def address(number):
    return "127.0.0.%d" % (20 + number)


def scheduler(cluster, zookeeper, port):
    fast = [
        "dfs.heartbeat.interval=1", "dfs.namenode.heartbeat.recheck-interval=2000", "dfs.namenode.safemode.extension=0",
        "dfs.ha.tail-edits.period=1", "dfs.ha.log-roll.period=5", "ha.zookeeper.session-timeout.ms=4000", "ha.health-monitor.check-interval.ms=500",
        "ha.health-monitor.rpc-timeout.ms=15000", "dfs.namenode.fs-limits.min-block-size=65536", "dfs.blocksize=65536",
        # Blocks are small, and many: two at a time would take minutes to be copied anew.
        "dfs.namenode.replication.work.multiplier.per.iteration=20", "dfs.namenode.replication.max-streams=20",
        "dfs.namenode.replication.max-streams-hard-limit=40",
        "dfs.namenode.decommission.interval=1s", "dfs.journalnode.sync.interval=2000",
        "dfs.namenode.redundancy.interval.seconds=1s", "dfs.namenode.reconstruction.pending.timeout-sec=10",
        # A half-written copy on a data node that came back while its file was still open is in the way of the whole one, and is only
        # swept once a full report names it: every six hours, unless told.
        "dfs.blockreport.intervalMsec=10000",
    ]
    options = [
        "--master", cluster.address, "--ledger", os.path.join(SCRATCH, "ledger"), "--listen", "127.0.0.1:" + port,
        "--jars", JARS, "--zk", zookeeper.hosts() + "/story", "--name", "story", "--role", "story",
        "--name-heap-mb", "128", "--data-heap-mb", "128", "--journal-heap-mb", "96",
        "--name-disk-mb", "1024", "--data-disk-mb", "1024", "--data-volumes", "2", "--journal-disk-mb", "1024",
    ]
    for it in fast:
        options += ["--set", it]
    return Daemon("scheduler", "holdfast-hdfs", "scheduler", *(options + AS_USER))


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


def ask(address, method, path, body=None, within=15, kind="application/octet-stream"):
    """One request without its redirection: the status, where else to ask, and the answer."""
    host, port = address.rsplit(":", 1)
    line = http.client.HTTPConnection(host, int(port), timeout=within)
    try:
        line.request(method, path, body=body, headers={"Content-Type": kind})
        answer = line.getresponse()
        return answer.status, answer.getheader("Location"), answer.read()
    finally:
        line.close()


class Service:
    """The service by its pages."""

    def __init__(self, port):
        self.address = "127.0.0.1:" + port
        self.names = {}

    def read(self, page):
        try:
            status, _, body = ask(self.address, "GET", "/v1/" + page)
        except OSError:
            return None
        return json.loads(body) if status == 200 else None

    def whole(self):
        """Whether every member is ready."""
        row = self.read("service")
        return row is not None and all(it["running"] == it["count"] for it in row["pods"])

    def find_names(self):
        for row in self.read("endpoints"):
            if row["pod"] == "name" and row["port"] == "http":
                self.names[row["member"]] = row["address"]

    def state(self, member):
        """The state of a name node, and its clusterID; nothing while it does not answer."""
        try:
            _, _, status = ask(self.names[member], "GET", "/jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus", within=5)
            _, _, info = ask(self.names[member], "GET", "/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo", within=5)
            return json.loads(status)["beans"][0]["State"], json.loads(info)["beans"][0]["ClusterId"]
        except (OSError, http.client.HTTPException, ValueError, LookupError):
            return None, None

    def active(self):
        return next((it for it in sorted(self.names) if self.state(it)[0] == "active"), None)

    def clusters(self):
        """The clusterID that each name node tells."""
        return {it: self.state(it)[1] for it in sorted(self.names)}

    def fsck(self):
        """What fsck says of the whole file system; nothing while no name node answers."""
        active = self.active()
        if active is None:
            return None
        try:
            status, _, body = ask(self.names[active], "GET", "/fsck?ugi=%s&path=/" % USER, within=60)
        except (OSError, http.client.HTTPException):
            return None
        return body.decode() if status == 200 else None

    def place(self, member):
        """The number of the agent that a member is on."""
        host = next(row["hostname"] for row in self.read("pods") if row["name"] == member)
        return int(host.rsplit(".", 1)[1]) - 20


class Client:
    """A client of WebHDFS: it asks the name nodes in turn, and follows the active one's word to a data node."""

    def __init__(self, service):
        self.service = service
        self.last = None

    def call(self, method, path, operation, body=None, wanted=(200, 201), **more):
        """The answer of the data node, or of the name node where that has it; raises when nobody does what is wanted."""
        query = urllib.parse.urlencode(dict(more, **{"op": operation, "user.name": USER}))
        names = sorted(self.service.names, key=lambda it: it != self.last)
        why = None
        for name in names:
            try:
                status, location, answer = ask(self.service.names[name], method, "/webhdfs/v1%s?%s" % (path, query))
                if status == 307:
                    to = urllib.parse.urlsplit(location)
                    status, _, answer = ask(to.netloc, method, to.path + "?" + to.query, body)
            except (OSError, http.client.HTTPException) as error:
                why = error
                continue
            if status in wanted:
                self.last = name
                return answer
            why = "%d %s" % (status, answer[:200])
        raise OSError("%s %s: %s" % (operation, path, why))


class Writer(threading.Thread):
    """Writes files, each once, and remembers the checksums of those that were acknowledged."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.client = Client(service)
        self.acknowledged, self.refused, self.longest = {}, 0, 0.0
        self.is_over = False

    def run(self):
        number, last = 0, time.monotonic()
        while not self.is_over:
            path = "/files/%d/%d" % (number % 10, number)
            number += 1
            # Some of them are of several blocks.
            body = os.urandom(1000) * (1 + number % 150)
            try:
                self.client.call("PUT", path, "CREATE", body, overwrite="false")
            except OSError:
                # Whether it was written is not known; nobody was told that it was.
                self.refused += 1
                time.sleep(0.1)
                continue
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
            self.acknowledged[path] = (len(body), zlib.crc32(body))
            # What takes longer would write so much that to read it back takes longer still.
            time.sleep(0.02 if BOUNDED else 0.2)

    def stop(self):
        self.is_over = True
        self.join()

    def wait_for_more(self):
        """Waits until files are acknowledged that were not when it was called."""
        before = len(self.acknowledged)
        until("files are acknowledged again", lambda: before + 3 < len(self.acknowledged), within=120)

    def read_back(self):
        """How many of the acknowledged files are there as they were written, and which are not."""
        lost = []
        for path, (length, checksum) in self.acknowledged.items():
            body = until("%s is read" % path, lambda: self._read(path), within=60)
            if body == "nothing" or (len(body), zlib.crc32(body)) != (length, checksum):
                lost.append(path)
        return len(self.acknowledged) - len(lost), lost

    def _read(self, path):
        try:
            return self.client.call("GET", path, "OPEN")
        except OSError as error:
            return "nothing" if ": 404 " in str(error) else None


def live(cluster):
    """The live tasks of the service, by their ids."""
    states = ("TASK_RUNNING", "TASK_STAGING", "TASK_STARTING")
    return {row["id"] for row in cluster.list("tasks") if row["state"] in states and row["name"].startswith("story-")}


def process(cluster, number, word):
    """The process of an agent's containers that has this word at the end of its command line."""
    found = [pid for pid in cluster.containers(number) if any(it.endswith(word) for it in words_of(pid)[-1:])]
    assert found, "agent %d runs no %s" % (number, word)
    return found[0]


def executor(cluster, number, member):
    """The process of ours that runs a member."""
    def is_its(pid):
        try:
            with open("/proc/%d/environ" % pid, "rb") as file:
                return b"POD_NAME=" + member.encode() in file.read().split(b"\0")
        except OSError:
            return False
    found = [pid for pid in cluster.containers(number) if words_of(pid)[-1:] == ["node"] and is_its(pid)]
    assert found, "agent %d runs no executor of %s" % (number, member)
    return found[0]


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


def serves(cluster, service, writer):
    until("every member serves again", lambda: cluster.well() == len(cluster.agents) and service.whole() and service.active(), within=300, pause=0.3)
    writer.wait_for_more()


def killed(cluster, service, writer, name, blow, is_another_task):
    """Strikes, and waits until every member is ready again and files are acknowledged."""
    with step("kill -9 %s: until all serve" % name):
        before = live(cluster)
        blow()
        if is_another_task:
            # Or the members from before would count.
            until("a member is started anew", lambda: live(cluster) - before, within=180)
        serves(cluster, service, writer)


def fails_over(cluster, service, writer):
    """Kills the active name node: the other one takes over, and files are acknowledged while this one is down."""
    active = service.active()
    with step("kill -9 the active name node, %s: until the other one is active" % active):
        before = live(cluster)
        gone(process(cluster, service.place(active), NAME))
        until("the other name node is active", lambda: service.active() not in (None, active), within=120)
        writer.wait_for_more()
    with step("... until it is back as the standby"):
        until("it is started anew", lambda: live(cluster) - before, within=180)
        serves(cluster, service, writer)


def order(service, path, **words):
    """Tells the service something; what is returned says whether it is done."""
    status, _, body = ask(service.address, "POST", "/v1/" + path, json.dumps(words).encode(), kind="application/json")
    assert status == 200, (path, status, body)
    plan = json.loads(body)["plan"]

    def is_complete():
        rows = service.read("plans") or []
        row = next((it for it in rows if it["name"] == plan), None)
        if row is not None:
            assert row["state"] != "ERROR", row
        return row is not None and row["state"] == "COMPLETE"
    return is_complete


def refused(cluster, service, writer, daemon):
    """Takes a data node's data away while nobody looks: it does not start on the empty volume, and is back when they are."""
    with step("a data node's volume is emptied: until it is refused, and back with its data"):
        number = service.place("data-0")
        folders = glob.glob(os.path.join(cluster.agent_dir(number), "holdfast", "volumes", "*", "data"))
        volume = next(it for it in folders if os.path.isdir(os.path.join(it, "data")))
        aside = os.path.join(SCRATCH, "aside")
        os.mkdir(aside)
        java = process(cluster, number, DATA)
        names = os.listdir(volume)
        for name in names:
            os.rename(os.path.join(volume, name), os.path.join(aside, name))
        gone(java)
        until("it is refused", lambda: "is empty, but it had data of the file system" in daemon.text(), within=120)
        assert not os.listdir(volume), "something was written in the place of what is missing"
        for name in names:
            os.rename(os.path.join(aside, name), os.path.join(volume, name))
        serves(cluster, service, writer)


def planned(cluster, service, writer):
    """What is done on purpose: restarts one after the other, a journal node and a data node on another disk, one more data node, one fewer."""
    active = service.active()
    for what, path in [
            ("both name nodes are restarted, one after the other", "pods/name/restart"),
            ("all journal nodes are restarted, one after the other", "pods/journal/restart"),
            ("all data nodes are restarted, one after the other", "pods/data/restart"),
    ]:
        with step(what):
            until(what, order(service, path), within=400, pause=0.5)
            serves(cluster, service, writer)
        if "/name/" in path:
            # The standby first: so the file system changes hands once.
            assert service.active() != active, "the active name node was restarted first"
    cluster.add_agent("r4", RESOURCES)
    with step("a journal node gets a new volume on another machine, and the old claim goes once it has all edits"):
        until("it is replaced", order(service, "pods/journal-1/replace"), within=600, pause=0.5)
        serves(cluster, service, writer)
    moved(cluster, service, "journal-1")
    with step("a data node gets new volumes on another machine, and the old claim goes once all blocks have their copies"):
        until("it is replaced", order(service, "pods/data-1/replace"), within=400, pause=0.5)
        serves(cluster, service, writer)
    moved(cluster, service, "data-1")
    with step("a fourth data node"):
        until("it is there", order(service, "pods/data/scale", count=4), within=400, pause=0.5)
        serves(cluster, service, writer)
    with step("it is decommissioned, and its claim goes once it is empty"):
        until("it has left", order(service, "pods/data/scale", count=3), within=400, pause=0.5)
        serves(cluster, service, writer)
    for pod, count, why in [("data", 2, "files have 3 copies"), ("journal", 2, "3 journal nodes and 2 name nodes"), ("name", 1, "2 name nodes")]:
        status, _, body = ask(service.address, "POST", "/v1/pods/%s/scale" % pod, json.dumps({"count": count}).encode(), kind="application/json")
        assert status == 409 and why in body.decode(), (pod, status, body)
    print("            fewer data nodes than copies, fewer journal nodes and fewer name nodes: refused")


def moved(cluster, service, member):
    """Whether a member is on the machine that was added, and has nothing elsewhere."""
    row = next(row for row in service.read("pods") if row["name"] == member)
    assert service.place(member) == len(cluster.agents) and not row["kept"], row


def healthy(service):
    """What fsck says once the file system is healthy and each block has all of its copies; else what it said last, in short."""
    said = [""]

    def look():
        said[0] = service.fsck() or "no name node answers"
        return said[0] if "Status: HEALTHY" in said[0] and "Under-replicated blocks:\t0 " in said[0] else None
    try:
        return until("fsck is healthy", look, within=300, pause=0.5)
    except AssertionError as error:
        ill = [line for line in said[0].splitlines() if line.strip(" .") and not line.rstrip().endswith((":\t0", "(0.0 %)"))]
        raise AssertionError("%s; %s" % (error, "\n".join(ill[:6] + ill[-25:]))) from None


def story(cluster):
    zookeeper = _zookeeper.Ensemble(1)
    port = free_ports(1, ["127.0.0.1"])[0]
    daemon, service = scheduler(cluster, zookeeper, port), Service(port)
    cluster.others.append(daemon)
    with step("a file system is formatted, and all members serve"):
        daemon.start()
        until("every member serves", service.whole, within=400, pause=0.3)
    service.find_names()
    before = service.clusters()
    writer = Writer(service)
    writer.start()
    writer.wait_for_more()
    fails_over(cluster, service, writer)
    fails_over(cluster, service, writer)
    number = service.place("data-2")
    blows = [
        ("a data node", lambda: gone(process(cluster, number, DATA)), True),
        ("a journal node's executor", lambda: gone(executor(cluster, service.place("journal-1"), "journal-1")), True),
        ("an agent", lambda: again(cluster.agents[1]), False),
        ("the scheduler", lambda: again(daemon), False),
        ("the master", lambda: again(cluster.master), False),
        ("a whole machine", lambda: machines(cluster, 1), True),
    ]
    for name, blow, is_another_task in blows:
        killed(cluster, service, writer, name, blow, is_another_task)
    if not BOUNDED:
        killed(cluster, service, writer, "all machines at once", lambda: machines(cluster, 1, 2, 3), True)
        refused(cluster, service, writer, daemon)
        planned(cluster, service, writer)
    writer.stop()
    with step("all acknowledged files are read back"):
        read, lost = writer.read_back()
    with step("fsck: until every block has all of its copies"):
        report = healthy(service)
    after = service.clusters()
    print()
    print("  files acknowledged  %6d   refused or not answered %d, longest time without one %.1f s" % (
        len(writer.acknowledged), writer.refused, writer.longest))
    print("  files read back     %6d" % read)
    print("  files lost          %6d   %s" % (len(lost), " ".join(lost[:5])))
    for line in report.splitlines():
        if any(it in line for it in ("Missing blocks", "Corrupt blocks", "Total blocks (validated)", "Number of data-nodes")):
            print("  fsck                %s" % " ".join(line.split()))
    for name in sorted(before):
        same = "the same" if before[name] == after.get(name) else "NOT %s" % after.get(name)
        print("  clusterID at %s  %s  %s" % (name, before[name], same))
    print("  seconds             %6.1f" % sum(took for _, took in STEPS))
    one = len(set(after.values())) == 1
    return not lost and one and before == after and read == len(writer.acknowledged)


def main():
    cluster = Machines(["r1", "r2", "r3"], RESOURCES)
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
