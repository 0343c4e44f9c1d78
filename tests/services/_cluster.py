"""A master and some agents as processes, each agent on a loopback address of its own, for the stories of services.

Relies on $HOLDFAST_BIN (the folder of our programs) and on $HOLDFAST_SCRATCH, in which everything is kept. Never leaves a process behind:
not when a story fails, and not when it is told to end; containers, which outlive their agent on purpose, included.
"""

import atexit
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

BIN = os.environ["HOLDFAST_BIN"]
SCRATCH = os.environ["HOLDFAST_SCRATCH"]
# Ports to try, each once: below those that the kernel gives to connections.
PORTS = iter(range(15400 + os.getpid() % 500, 16400))


def until(what, look, within=60.0, pause=0.05):
    """Looks until there is something to see, and returns it."""
    end = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen
        if end <= time.monotonic():
            raise AssertionError("%s: not within %g s" % (what, within))
        time.sleep(pause)


def free_ports(count, addresses):
    """Ports that nobody has on any of the addresses."""
    free = (port for port in PORTS if all(is_free(address, port) for address in addresses))
    found = [str(port) for port, _ in zip(free, range(count))]
    assert len(found) == count, "there are no %d free ports" % count
    return found


def is_free(address, port):
    with socket.socket() as it:
        it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            it.bind((address, port))
        except OSError:
            return False
        return True


class Daemon:
    """One of our processes, with its log."""

    def __init__(self, name, program, *arguments):
        self.name = name
        self.command = [os.path.join(BIN, program)] + list(arguments)
        self.log = os.path.join(SCRATCH, name + ".log")
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def kill(self):
        """kill -9, and waits until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def text(self):
        try:
            with open(self.log, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def tail(self, lines=25):
        return "--- %s ---\n%s" % (self.name, "".join(self.text().splitlines(True)[-lines:]))


class Cluster:
    """A master, and agents on 127.0.0.1, 127.0.0.2 and so on, each in the rack that is named for it."""

    def __init__(self, racks, resources):
        self.addresses = ["127.0.0.%d" % number for number in range(1, len(racks) + 1)]
        port, self.agent_port = free_ports(2, self.addresses)
        self.address = "127.0.0.1:" + port
        self.master = Daemon("master", "holdfast", "master", "--dir", os.path.join(SCRATCH, "master"), "--port", port)
        self.agents = []
        self.others = []
        atexit.register(self.end)
        # Without this an end by signal would skip what was registered.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.master.start()
        for rack in racks:
            self.add_agent(rack, resources)
        self.wait_for_agents()

    def add_agent(self, rack, resources):
        number = len(self.agents) + 1
        agent = Daemon(
            "agent-%d" % number, "holdfast", "agent", "--dir", self.agent_dir(number), "--master", self.address,
            "--ip", "127.0.0.%d" % number, "--port", self.agent_port, "--resources", resources,
            "--attributes", "rack:" + rack)
        self.agents.append(agent.start())

    def agent_dir(self, number):
        return os.path.join(SCRATCH, "agent-%d" % number)

    def wait_for_agents(self):
        until("all agents are well", lambda: self.well() == len(self.agents))

    def well(self):
        return len([row for row in self.list("agents") if row["state"] == "well"])

    def list(self, name):
        """A list of the native API; empty while nobody leads."""
        try:
            with urllib.request.urlopen("http://%s/holdfast/v1/%s" % (self.address, name), timeout=20) as answer:
                return json.load(answer)
        except OSError:
            return []

    def containers(self, number):
        """The processes of an agent's containers, by the directories in which they run."""
        return processes(self.agent_dir(number))

    def logs(self):
        return "".join(it.tail() for it in [self.master] + self.agents + self.others)

    def end(self):
        for daemon in self.others + self.agents + [self.master]:
            daemon.kill()
        until("the end of all containers", self._end_containers)

    def _end_containers(self):
        left = processes(SCRATCH)
        for pid in left:
            kill(pid)
        return not left


def processes(folder):
    """Processes that work in a folder or name it, apart from this one and those that started it."""
    ours, pid = set(), os.getpid()
    while pid > 1:
        ours.add(pid)
        with open("/proc/%d/stat" % pid) as file:
            pid = int(file.read().rsplit(")", 1)[1].split()[1])
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        pid = int(path.rsplit("/", 1)[1])
        try:
            place = os.readlink(path + "/cwd")
            with open(path + "/cmdline", "rb") as file:
                words = file.read().decode(errors="replace")
            with open(path + "/stat") as file:
                state = file.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z" and pid not in ours and (place.startswith(folder + "/") or folder + "/" in words):
            found.append(pid)
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def words_of(pid):
    """The command line of a process, as a list."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return file.read().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
