"""ZooKeeper servers from Debian for the compat scripts, on loopback.

Relies on java and on the package `zookeeper`. Never leaves a server behind.
"""

import atexit
import os
import socket
import subprocess
import time

from _cluster import SCRATCH, until

JAR = "/usr/share/java/zookeeper.jar"


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for it in held:
        it.bind(("127.0.0.1", 0))
    ports = [it.getsockname()[1] for it in held]
    for it in held:
        it.close()
    return ports


class Ensemble:
    """One server, or three."""

    def __init__(self, count):
        self.ports = [free_ports(3) for _ in range(count)]
        self.processes = [None] * count
        atexit.register(self.end)
        members = ""
        if 1 < count:
            members = "".join("server.%d=127.0.0.1:%d:%d\n" % (id + 1, it[1], it[2]) for id, it in enumerate(self.ports))
        for at, (port, _, _) in enumerate(self.ports):
            data = os.path.join(self.folder(at), "data")
            os.makedirs(data)
            with open(os.path.join(data, "myid"), "w") as file:
                file.write(str(at + 1))
            with open(os.path.join(self.folder(at), "zoo.cfg"), "w") as file:
                file.write(
                    "dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\ntickTime=200\nminSessionTimeout=400\nmaxSessionTimeout=60000\n"
                    "initLimit=50\nsyncLimit=25\nadmin.enableServer=false\n4lw.commands.whitelist=srvr\n%s" % (data, port, members)
                )
        for at in range(count):
            self.start(at)
        for at in range(count):
            self.wait_for(at)

    def folder(self, at):
        return os.path.join(SCRATCH, "zookeeper-%d" % (at + 1))

    def hosts(self):
        return ",".join("127.0.0.1:%d" % it[0] for it in self.ports)

    def start(self, at):
        command = ["java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", JAR]
        command += ["org.apache.zookeeper.server.quorum.QuorumPeerMain", os.path.join(self.folder(at), "zoo.cfg")]
        with open(os.path.join(self.folder(at), "log"), "ab") as log:
            self.processes[at] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def mode(self, at):
        try:
            with socket.create_connection(("127.0.0.1", self.ports[at][0]), timeout=5) as stream:
                stream.sendall(b"srvr")
                text = stream.makefile().read()
        except OSError:
            return None
        return next((line for line in text.splitlines() if line.startswith("Mode: ")), None)

    def wait_for(self, at):
        until("ZooKeeper serves", lambda: self.mode(at), within=60.0)

    def leading(self):
        """The server that leads the others."""
        return until("a server leads", lambda: [at for at in range(len(self.ports)) if "leader" in (self.mode(at) or "")])[0]

    def kill(self, at):
        self.processes[at].kill()
        self.processes[at].wait()
        self.processes[at] = None

    def end(self):
        for at, process in enumerate(self.processes):
            if process is not None:
                self.kill(at)
