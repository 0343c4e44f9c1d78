"""Every other call of PyPI's pymesos, unmodified: decline and its filters, suppress, revive, kill, reconcile, request, acknowledge; tasks that fail
in all the ways that a scheduler must hear of; agent and master killed under a running task.

Relies on _cluster.py and _scheduler.py. Ends with exit code 0 only when every answer was as Mesos gives it.
"""

import time

from addict import Dict

from _cluster import Cluster, until
from _scheduler import Session, command_task, scalar

SMALL = [scalar("cpus", 0.1), scalar("mem", 32.0)]
REFUSE_NOTHING = Dict(refuse_seconds=0)


def say(*words):
    print("%7.2f s  %s" % (time.monotonic() - BEGAN, " ".join(str(word) for word in words)), flush=True)


BEGAN = time.monotonic()


def launch(session, offer, *tasks):
    session.driver.launchTasks(offer.ids, list(tasks), filters=REFUSE_NOTHING)


def decline(session, offer, seconds):
    session.mark()
    session.driver.declineOffer(offer.ids, filters=Dict(refuse_seconds=seconds))


def offers(session):
    """C5, C6, C8, C10: filters, suppression and how they end."""
    decline(session, session.take("the first offer"), 3600)
    session.none("what was declined for an hour", "offer", during=2.0)
    session.driver.reviveOffers()
    decline(session, session.take("what REVIVE frees of filters", within=5.0), 1)
    declined = time.monotonic()
    offer = session.take("what a filter of a second ends by itself", within=10.0)
    assert 0.9 <= time.monotonic() - declined, "offered again after %.2f s" % (time.monotonic() - declined)
    decline(session, offer, 0)
    offer = session.take("what was declined without a filter", within=5.0)
    session.driver.suppressOffers()
    decline(session, offer, 0)
    session.none("what is suppressed", "offer", during=2.0)
    session.driver.reviveOffers()
    session.driver.requestResources([Dict(resources=SMALL)])
    session.driver.declineOffer([Dict(value="no-such-offer")])
    offer = session.take("what REVIVE frees of suppression", within=5.0)
    say("offers: declined, filtered, suppressed, revived")
    return offer


def endings(session, offer):
    """Each way in which a task ends is told with its own state."""
    launch(session, offer, command_task("good", offer, "exit 0", SMALL), command_task("bad", offer, "exit 3", SMALL))
    session.mark()
    states = {}
    while len(states) < 2:
        status = session.wait("the ends of two tasks", "status", lambda it: it.state in ("TASK_FINISHED", "TASK_FAILED", "TASK_LOST", "TASK_ERROR"))
        states[status.task_id.value] = status.state
    assert states == {"good": "TASK_FINISHED", "bad": "TASK_FAILED"}, states
    used = offer
    launch(session, used, command_task("late", used, "exit 0", SMALL))
    status = session.status("late", "TASK_LOST")
    assert status.reason == "REASON_INVALID_OFFERS", status
    offer = session.take("an offer")
    launch(session, offer, command_task("huge", offer, "exit 0", [scalar("cpus", 9999.0), scalar("mem", 32.0)]))
    status = session.status("huge", "TASK_ERROR")
    assert status.reason == "REASON_TASK_INVALID" and "9999" in status.message, status
    offer = session.take("an offer")
    launch(session, offer, command_task("nobody", offer, "/no/such/program", SMALL))
    session.status("nobody", "TASK_FAILED")
    say("endings: finished, failed, lost, error")
    return session.take("an offer")


def kills(session, offer):
    """D31, reconciliation (F.5): what is known is told as it is, what is unknown is lost."""
    launch(session, offer, command_task("one", offer, "sleep 600", SMALL), command_task("two", offer, "sleep 600", SMALL))
    for task in ("one", "two"):
        until("task %s runs" % task, lambda: session.count("status", lambda it: it.task_id.value == task and it.state == "TASK_RUNNING"))
    session.mark()
    session.driver.reconcileTasks([Dict(task_id=Dict(value="one")), Dict(task_id=Dict(value="unknown"))])
    status = session.wait("a known task", "status", lambda it: it.task_id.value == "one")
    assert (status.state, status.reason) == ("TASK_RUNNING", "REASON_RECONCILIATION") and "uuid" not in status, status
    session.status("unknown", "TASK_LOST")
    session.mark()
    session.driver.reconcileTasks([])
    told = {session.wait("all tasks", "status", lambda it: it.get("reason") == "REASON_RECONCILIATION").task_id.value for _ in range(2)}
    assert told == {"one", "two"}, told
    session.none("a third", "status", during=0.5)
    session.driver.killTask(Dict(value="one"))
    session.status("one", "TASK_KILLED")
    session.driver.killTask(Dict(value="unknown"))
    session.status("unknown", "TASK_LOST")
    say("kill and reconcile")


def agents_death(cluster, session):
    """A task does not notice that its agent is killed and started again."""
    session.mark()
    cluster.agent.kill()
    cluster.agent.start()
    cluster.wait_for_agent()
    session.driver.reconcileTasks([Dict(task_id=Dict(value="two"))])
    status = session.status("two", "TASK_RUNNING")
    assert status.reason == "REASON_RECONCILIATION", status
    session.driver.killTask(Dict(value="two"))
    session.status("two", "TASK_KILLED")
    lost = session.count("status", lambda it: it.task_id.value == "two" and it.state not in ("TASK_STARTING", "TASK_RUNNING", "TASK_KILLED"))
    assert lost == 0, "the task was called lost in between"
    say("a task lives on through kill -9 of its agent, and can be killed after it")


def masters_death(cluster, session):
    """A scheduler is subscribed again by its driver, and a task does not notice."""
    session.driver.reviveOffers()
    launch(session, session.take("an offer"), *[])
    offer = session.take("an offer after an empty answer, which is a decline")
    launch(session, offer, command_task("three", offer, "sleep 600", SMALL))
    session.status("three", "TASK_RUNNING")
    # The driver takes one event after the other: once this is told, it has acknowledged what came before.
    session.driver.reconcileTasks([Dict(task_id=Dict(value="three"))])
    session.status("three", "TASK_RUNNING")
    framework_id = session.driver.framework_id
    session.mark()
    cluster.master.kill()
    session.wait("the driver sees its stream break", "disconnected")
    cluster.master.start()
    session.wait("SUBSCRIBED again", "reregistered", within=60.0)
    assert session.driver.framework_id == framework_id
    cluster.wait_for_agent()
    offer = session.take("an offer of the restarted master", within=30.0)
    session.driver.reconcileTasks([Dict(task_id=Dict(value="three"))])
    session.status("three", "TASK_RUNNING")
    launch(session, offer, command_task("four", offer, "exit 0", SMALL))
    session.status("four", "TASK_FINISHED")
    session.driver.killTask(Dict(value="three"))
    session.status("three", "TASK_KILLED")
    say("framework and task live on through kill -9 of the master")


def acknowledgements(cluster):
    """A status is told again until it is acknowledged, and never after that."""
    session = Session(cluster.master.address, "explicit", "explicit", acknowledges="nobody")
    session.wait("SUBSCRIBED", "registered")
    offer = session.take("an offer")
    launch(session, offer, command_task("quiet", offer, "exit 0", SMALL))
    first = session.wait("a status", "status")
    again = session.wait("the same status again", "status", lambda it: it.uuid == first.uuid, within=40.0)
    assert (again.task_id, again.state) == (first.task_id, first.state), (first, again)
    session.driver.acknowledgeStatusUpdate(again)
    status = again
    while status.state != "TASK_FINISHED":
        # What was acknowledged may have been sent once more just before.
        status = session.wait("the next status", "status", lambda it: it.uuid != status.uuid)
        session.driver.acknowledgeStatusUpdate(status)
    session.none("an acknowledged status", "status", lambda it: it.uuid != status.uuid, during=1.0)
    until("the task is forgotten", lambda: all(row["ended"] for row in cluster.list("tasks") if row["id"] == "quiet"))
    session.stop()
    say("acknowledgements")


def several_roles(cluster):
    """With MULTI_ROLE each offer says for which role it is."""
    capabilities = [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]
    session = Session(cluster.master.address, "several", "several/one", capabilities=capabilities)
    session.wait("SUBSCRIBED", "registered")
    offer = session.take("an offer")
    assert offer.allocation_info.role == "several/one", offer
    assert all(it.allocation_info.role == "several/one" for it in offer.resources), offer
    session.driver.suppressOffers(["several/one"])
    decline(session, offer, 0)
    session.none("a suppressed role", "offer", during=1.0)
    session.driver.reviveOffers(["several/one"])
    session.take("what the revived role is free to have", within=5.0)
    session.driver.killTask(Dict(value="unknown"))
    session.status("unknown", "TASK_UNKNOWN", "TASK_DROPPED")
    session.stop()
    say("roles")


def main():
    cluster = Cluster()
    try:
        session = Session(cluster.master.address, "calls", "calls")
        session.wait("SUBSCRIBED", "registered")
        offer = endings(session, offers(session))
        kills(session, offer)
        session.driver.suppressOffers()
        agents_death(cluster, session)
        masters_death(cluster, session)
        # What this one still holds would be missing from the offers of the next.
        framework_id = session.driver.framework_id
        session.stop()
        until("the framework is gone", lambda: all(it["state"] == "removed" for it in cluster.list("frameworks") if it["id"] == framework_id))
        acknowledgements(cluster)
        several_roles(cluster)
    except BaseException:
        print(cluster.logs(), flush=True)
        raise
    finally:
        cluster.end()
    say("all answers were as expected")


if __name__ == "__main__":
    main()
