"""A stateful framework written with PyPI's pymesos, unmodified: it claims a volume, is killed, comes back and finds its data.

First life: subscribe, twenty command tasks to TASK_FINISHED, RESERVE, CREATE, a task that writes into the volume; then kill -9 of the whole
scheduler process. Second life, with the framework's id: it is offered the volume, a task reads the data, DESTROY, UNRESERVE, teardown.
Told twice: with resources as frameworks without RESERVATION_REFINEMENT see them, and as those with it do.

Relies on _cluster.py and _scheduler.py. Ends with exit code 0 only when every step was seen.
"""

import json
import os
import subprocess
import sys
import threading
import time

from addict import Dict

from _cluster import SCRATCH, Cluster, until
from _scheduler import Session, amount, command_task, is_plain, scalar, volume_id

PRINCIPAL = "ops"
TASKS = 20
SIZE_MB = 64.0
WORDS = "what was acknowledged is still there"
REFUSE_NOTHING = Dict(refuse_seconds=0)

REFINED = [{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}, {"type": "PARTITION_AWARE"}]


class Telling:
    """One of the two ways in which a framework may speak of what is reserved."""

    def __init__(self, name):
        self.name = name
        self.role = "role-" + name
        self.refined = name == "refined"
        self.capabilities = REFINED if self.refined else []
        self.volume = "data-" + name

    def reserved(self):
        if self.refined:
            return scalar("disk", SIZE_MB, reservations=[Dict(type="DYNAMIC", role=self.role, principal=PRINCIPAL)])
        return scalar("disk", SIZE_MB, role=self.role, reservation=Dict(principal=PRINCIPAL))

    def is_reserved(self, resource):
        """In the shape that was agreed on, and in no other."""
        if self.refined:
            stack = resource.get("reservations", [])
            return len(stack) == 1 and stack[0].role == self.role and stack[0].principal == PRINCIPAL and "role" not in resource
        return resource.get("role") == self.role and resource.get("reservation", {}).get("principal") == PRINCIPAL and "reservations" not in resource

    def volume_on(self, resource):
        volume = Dict(resource)
        volume.disk = Dict(persistence=Dict(id=self.volume, principal=PRINCIPAL), volume=Dict(container_path="data", mode="RW"))
        return volume

    def session(self, master, framework_id=None):
        acknowledges = "recorder" if self.refined else "driver"
        name = "pymesos-" + self.name
        return Session(master, name, self.role, framework_id, self.capabilities, PRINCIPAL, acknowledges, failover=True)


def say(*words):
    print("%7.2f s  %s" % (time.monotonic() - BEGAN, " ".join(str(word) for word in words)), flush=True)


BEGAN = time.monotonic()


def offer_with(session, what, is_it):
    """What is offered, once a resource that is looked for is among it; and that resource."""
    offer = session.take(what, lambda offer: any(is_it(resource) for resource in offer.resources))
    return offer, next(resource for resource in offer.resources if is_it(resource))


def operate(session, telling, offer, kind, **what):
    """One operation; where the framework can be told of its outcome, it must be told that it has finished."""
    operation = Dict(type=kind, **{kind.lower(): Dict(**what)})
    if telling.refined:
        operation.id = Dict(value="%s-%d" % (kind, time.monotonic_ns()))
    session.driver.acceptOffers(offer.ids, [operation], filters=REFUSE_NOTHING)
    if telling.refined:
        status = session.wait("the outcome of %s" % kind, "operation", lambda it: it.operation_id.value == operation.id.value)
        assert status.state == "OPERATION_FINISHED", status
    say(kind, "done")


def run_twenty(session):
    launched = 0
    while launched < TASKS:
        offer = session.take("cpus", lambda offer: 0.1 <= amount(offer, "cpus") and 32.0 <= amount(offer, "mem"))
        fits = int(min(amount(offer, "cpus") / 0.1 + 0.001, amount(offer, "mem") / 32.0, 8))
        tasks = [
            command_task("task-%d" % (launched + index), offer, "echo task $MESOS_TASK_ID; exit 0", [scalar("cpus", 0.1), scalar("mem", 32.0)])
            for index in range(min(fits, TASKS - launched))
        ]
        session.driver.launchTasks(offer.ids, tasks, filters=REFUSE_NOTHING)
        launched += len(tasks)
    finished = lambda: session.count("status", lambda it: it.state == "TASK_FINISHED")
    ended_otherwise = lambda: session.count("status", lambda it: it.state not in ("TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"))
    until("%d tasks are finished" % TASKS, lambda: TASKS <= finished() or 0 < ended_otherwise(), within=120.0)
    names = {status.task_id.value for _, kind, status in session.recorder.told if kind == "status" and status.state == "TASK_FINISHED"}
    assert len(names) == TASKS and ended_otherwise() == 0, [it for it in session.recorder.told if it[1] == "status"]
    say(TASKS, "command tasks are TASK_FINISHED")


def launch(session, offer, volume, task_id, command):
    resources = [scalar("cpus", 0.1), scalar("mem", 32.0)] + ([volume] if volume else [])
    session.driver.launchTasks(offer.ids, [command_task(task_id, offer, command, resources)], filters=REFUSE_NOTHING)


def first_life(telling, master, note):
    session = telling.session(master)
    registered = session.wait("SUBSCRIBED", "registered")
    assert registered.master_info.version.split(".")[0] == "1", registered
    run_twenty(session)
    launch(session, session.take("anything"), None, "sleeper", "sleep 600")
    session.status("sleeper", "TASK_RUNNING")
    say("a task that outlives its scheduler runs")
    offer = session.take("disk", lambda offer: SIZE_MB <= amount(offer, "disk", is_plain))
    assert ("allocation_info" in offer) == telling.refined, offer
    operate(session, telling, offer, "RESERVE", resources=[telling.reserved()])
    offer, reserved = offer_with(session, "the reservation", lambda it: it.name == "disk" and telling.is_reserved(it))
    assert reserved.scalar.value == SIZE_MB and "disk" not in reserved, reserved
    operate(session, telling, offer, "CREATE", volumes=[telling.volume_on(reserved)])
    offer, volume = offer_with(session, "the volume", lambda it: volume_id(it) == telling.volume)
    assert telling.is_reserved(volume) and volume.disk.volume.container_path == "data", volume
    launch(session, offer, volume, "writer", "echo '%s' > data/words && sync && cat data/words" % WORDS)
    session.status("writer", "TASK_FINISHED")
    say("a task has written into the volume")
    with open(note + ".part", "w") as file:
        json.dump({"framework_id": session.driver.framework_id}, file)
    os.rename(note + ".part", note)
    threading.Event().wait()  # Until it is killed.


def second_life(telling, master, note):
    with open(note) as file:
        framework_id = json.load(file)["framework_id"]
    began = time.monotonic()
    session = telling.session(master, framework_id)
    session.wait("SUBSCRIBED again", "reregistered")
    assert session.driver.framework_id == framework_id
    offer, volume = offer_with(session, "the volume", lambda it: volume_id(it) == telling.volume)
    say("back, and offered the volume after %.3f s" % (time.monotonic() - began))
    assert telling.is_reserved(volume) and volume.scalar.value == SIZE_MB, volume
    session.driver.reconcileTasks([Dict(task_id=Dict(value="sleeper"))])
    status = session.wait("the sleeper is reconciled", "status", lambda it: it.task_id.value == "sleeper")
    assert (status.state, status.reason) == ("TASK_RUNNING", "REASON_RECONCILIATION"), status
    say("the task that went on meanwhile is still TASK_RUNNING")
    launch(session, offer, volume, "reader", "test \"$(cat data/words)\" = '%s'" % WORDS)
    session.status("reader", "TASK_FINISHED")
    say("a task has read what was written")
    session.driver.killTask(Dict(value="sleeper"))
    session.status("sleeper", "TASK_KILLED")
    offer, volume = offer_with(session, "the volume", lambda it: volume_id(it) == telling.volume)
    operate(session, telling, offer, "DESTROY", volumes=[volume])
    offer, reserved = offer_with(session, "the reservation", lambda it: it.name == "disk" and telling.is_reserved(it) and "disk" not in it)
    assert reserved.scalar.value == SIZE_MB, reserved
    operate(session, telling, offer, "UNRESERVE", resources=[reserved])
    session.driver._failover = False  # As pymesos' own stop() without failover does: tear the framework down.
    offer = session.take("all of the disk", lambda offer: amount(offer, "disk", is_plain) == 20000.0)
    assert not any(telling.is_reserved(it) for it in offer.resources), offer
    session.stop()


def live(cluster, life, telling, note):
    return subprocess.Popen([sys.executable, "-u", os.path.abspath(__file__), life, telling.name, cluster.master.address, note])


def tell(cluster, telling):
    say("--- resources are", telling.name)
    note = os.path.join(SCRATCH, telling.name + ".json")
    first = live(cluster, "first", telling, note)
    try:
        until("the first life has done its work", lambda: os.path.exists(note) or first.poll() is not None, within=120.0)
        assert first.poll() is None, "the first life ended with %s" % first.returncode
    finally:
        first.kill()
        first.wait()
    say("kill -9 of the scheduler")
    with open(note) as file:
        framework_id = json.load(file)["framework_id"]
    row = until("the framework is seen to be away", lambda: [
        it for it in cluster.list("frameworks") if it["id"] == framework_id and it["state"] == "away"
    ])[0]
    assert row["failover_timeout_ms"] == 600000 and row["deadline_ms"], row
    claims = [it for it in cluster.list("claims") if it["kind"] == "volume"]
    assert [(it["volume"], it["role"], it["state"]) for it in claims] == [(telling.volume, telling.role, "ready")], claims
    assert cluster.volume_dirs() == [claims[0]["id"]]
    second = live(cluster, "second", telling, note)
    try:
        assert second.wait(timeout=120) == 0, "the second life ended with %s" % second.returncode
    finally:
        second.kill()
        second.wait()
    assert cluster.list("claims") == [], cluster.list("claims")
    assert cluster.volume_dirs() == [], "the volume is in the trash, not in its place"
    row = [it for it in cluster.list("frameworks") if it["id"] == framework_id]
    assert row == [] or row[0]["state"] == "removed", row
    say("destroyed, unreserved, torn down")


def main():
    lives = {"first": first_life, "second": second_life}
    if len(sys.argv) == 5:
        return lives[sys.argv[1]](Telling(sys.argv[2]), sys.argv[3], sys.argv[4])
    cluster = Cluster()
    try:
        for name in ("plain", "refined"):
            tell(cluster, Telling(name))
    except BaseException:
        print(cluster.logs(), flush=True)
        raise
    finally:
        cluster.end()
    say("all steps were seen")


if __name__ == "__main__":
    main()
