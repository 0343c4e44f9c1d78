"""A master and one agent as processes for the compat scripts.

Relies on $HOLDFAST_BIN and on $HOLDFAST_SCRATCH, in which everything is kept. Never leaves a process behind: not when a script fails, and
not when it is told to end; containers, which outlive their agent on purpose, included.
"""

import atexit
import glob
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

BIN = os.environ["HOLDFAST_BIN"]
SCRATCH = os.environ["HOLDFAST_SCRATCH"]

RESOURCES = "cpus:8;mem:4096;disk:20000;ports:[31000-32000]"


def until(what, look, within=30.0, pause=0.02):
    """Looks until there is something to see, and returns it."""
    end = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen
        if end <= time.monotonic():
            raise AssertionError("%s: not within %g s" % (what, within))
        time.sleep(pause)


class Daemon:
    """One holdfast process."""

    def __init__(self, name, *arguments):
        self.name = name
        self.arguments = list(arguments)
        self.log = os.path.join(SCRATCH, name + ".log")
        self.address_file = os.path.join(SCRATCH, name + ".address")
        self.address = None
        self.process = None

    def start(self):
        if os.path.exists(self.address_file):
            os.remove(self.address_file)
        port = self.address.split(":")[1] if self.address else "0"
        command = [BIN] + self.arguments + ["--port", port, "--address-file", self.address_file]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.address = until("%s serves" % self.name, self._read_address)
        return self

    def _read_address(self):
        if self.process.poll() is not None:
            raise AssertionError("%s ended with %s:\n%s" % (self.name, self.process.returncode, self.tail()))
        try:
            with open(self.address_file) as file:
                return file.read().strip()
        except FileNotFoundError:
            return None

    def tail(self):
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-25:])

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Cluster:
    """A master and one agent, which may be given further arguments."""

    def __init__(self, master_arguments=(), agent_arguments=()):
        self.scratch = SCRATCH
        self.agent_dir = os.path.join(SCRATCH, "agent")
        self.master = Daemon("master", "master", "--dir", os.path.join(SCRATCH, "master"), *master_arguments)
        self.agent = None
        atexit.register(self.end)
        # Without this an end by signal would skip what was registered.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.master.start()
        where = ["--dir", self.agent_dir, "--master", self.master.address, "--resources", RESOURCES]
        self.agent = Daemon("agent", "agent", *where, *agent_arguments)
        self.agent.start()
        self.wait_for_agent()

    def wait_for_agent(self):
        until("the agent is well", lambda: [row for row in self.list("agents") if row["state"] == "well"])

    def list(self, name):
        """A list of the native API: claims, agents, tasks, ..."""
        with urllib.request.urlopen("http://%s/holdfast/v1/%s" % (self.master.address, name), timeout=20) as answer:
            return json.load(answer)

    def call(self, body):
        """An operator's call; raises when it is refused."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request("http://%s/api/v1" % self.master.address, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def volume_dirs(self):
        """The names of all volumes that lie on the agent's own disk."""
        folder = os.path.join(self.agent_dir, "holdfast", "volumes")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def logs(self):
        return "".join("--- %s ---\n%s" % (it.name, it.tail()) for it in (self.master, self.agent) if it is not None)

    def end(self):
        for daemon in (self.agent, self.master):
            if daemon is not None:
                daemon.kill()
        until("the end of all containers", self._end_containers)
        self._remove_groups()

    def _remove_groups(self):
        """An agent that was killed could not remove the control groups of containers that outlived it."""
        left = os.path.join(self.agent_dir, "containers", "containers")
        for name in os.listdir(left) if os.path.isdir(left) else []:
            for group in glob.glob("/sys/fs/cgroup/*/holdfast/%s" % name) + glob.glob("/sys/fs/cgroup/holdfast/%s" % name):
                try:
                    os.rmdir(group)
                except OSError:
                    pass

    def _end_containers(self):
        """Only what names this script's scratch directory is ours."""
        left = 0
        for name in os.listdir("/proc"):
            if name.isdigit() and self._is_contained(name):
                left += 1
                try:
                    os.kill(int(name), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        return left == 0

    def _is_contained(self, process):
        command, environment = (self._read("/proc/%s/%s" % (process, what)) for what in ("cmdline", "environ"))
        mark = os.fsencode(self.agent_dir)
        keeper = b"container-shim" in command and mark in command
        return keeper or (b"HOLDFAST_CONTAINER_ID=" in environment and mark in environment)

    @staticmethod
    def _read(path):
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            return b""
