"""A scheduler that writes down whatever pymesos tells it, so that a script can wait for what it expects.

Relies on pymesos as it comes. Never answers anything by itself but for acknowledgements, where it is told to.
"""

import logging
import threading
import time

from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")

TERMINAL = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR", "TASK_DROPPED", "TASK_GONE"}


class Recorder(Scheduler):
    """Everything that was told, in order."""

    def __init__(self, acknowledges):
        self.acknowledges = acknowledges
        self.condition = threading.Condition()
        self.told = []
        self.held = {}

    def tell(self, kind, value):
        with self.condition:
            self.told.append((time.monotonic(), kind, value))
            self.condition.notify_all()

    def registered(self, driver, framework_id, master_info):
        self.tell("registered", Dict(framework_id=framework_id, master_info=master_info))

    def reregistered(self, driver, master_info):
        self.tell("reregistered", master_info)

    def disconnected(self, driver):
        with self.condition:
            self.held.clear()
        self.tell("disconnected", None)

    def resourceOffers(self, driver, offers):
        for offer in offers:
            with self.condition:
                self.held[offer.id.value] = offer
            self.tell("offer", offer)

    def offerRescinded(self, driver, offer_id):
        with self.condition:
            self.held.pop(offer_id.value, None)
        self.tell("rescinded", offer_id)

    def statusUpdate(self, driver, update):
        if self.acknowledges:
            driver.acknowledgeStatusUpdate(update)
        self.tell("status", update)

    def operationStatusUpdate(self, driver, status):
        if self.acknowledges and "uuid" in status:
            # The status has {"value": bytes} where the call has bytes. The driver on its own sends back what it was sent, which Mesos refuses.
            driver.acknowledgeOperationStatusUpdate(Dict(operation_id=status.operation_id, agent_id=status.agent_id, uuid=status.uuid.value))
        self.tell("operation", status)

    def frameworkMessage(self, driver, executor_id, slave_id, message):
        self.tell("message", Dict(executor_id=executor_id, agent_id=slave_id, data=message))

    def slaveLost(self, driver, slave_id):
        self.tell("agent lost", slave_id)

    def executorLost(self, driver, executor_id, slave_id, status):
        self.tell("executor lost", Dict(executor_id=executor_id, status=status))

    def error(self, driver, message):
        self.tell("error", message)

    def processHeartBeat(self, driver):
        self.tell("heartbeat", None)


class Session:
    """A driver and what it was told. Who acknowledges: the `driver` on its own, the `recorder`, or `nobody`."""

    def __init__(self, master, name, role, framework_id=None, capabilities=(), principal=None, acknowledges="driver", failover=False):
        self.recorder = Recorder(acknowledges == "recorder")
        self.at = 0
        info = Dict(user="root", name=name, failover_timeout=600.0, checkpoint=True)
        kinds = [it["type"] for it in capabilities]
        if "MULTI_ROLE" in kinds:
            info.roles = [role]
        else:
            info.role = role
        if capabilities:
            info.capabilities = list(capabilities)
        if principal:
            info.principal = principal
        if framework_id:
            info.id = Dict(value=framework_id)
        # Credentials are sent, and ignored where nobody is asked for any.
        credentials = dict(principal=principal, secret="x") if principal else {}
        implicit = acknowledges == "driver"
        self.driver = MesosSchedulerDriver(
            self.recorder, info, master, use_addict=True, implicit_acknowledgements=implicit, failover=failover, **credentials
        )
        self.driver.start()

    def mark(self):
        """From here on."""
        with self.recorder.condition:
            self.at = len(self.recorder.told)

    def wait(self, what, kind, is_it=lambda value: True, within=30.0):
        """The first of a kind since the mark that is looked for; moves the mark behind it."""
        end = time.monotonic() + within
        with self.recorder.condition:
            at = self.at
            while True:
                for at in range(at, len(self.recorder.told)):
                    _, told, value = self.recorder.told[at]
                    if told == "error" and kind != "error":
                        raise AssertionError("%s: the master says instead: %s" % (what, value))
                    if told == kind and is_it(value):
                        self.at = at + 1
                        return value
                at = len(self.recorder.told)
                left = end - time.monotonic()
                if left <= 0:
                    passed = [(told, str(value)[:300]) for _, told, value in self.recorder.told[self.at:]]
                    raise AssertionError("%s: not within %g s; told instead: %s" % (what, within, passed))
                self.recorder.condition.wait(left)

    def take(self, what, is_it=lambda offer: True, within=30.0):
        """Waits until what is offered, all unanswered offers of the one agent together, is what is looked for; takes it for one answer."""
        end = time.monotonic() + within
        with self.recorder.condition:
            while True:
                held = list(self.recorder.held.values())
                if held:
                    offer = Dict(held[0])
                    offer.ids = [it.id for it in held]
                    offer.resources = [resource for it in held for resource in it.resources]
                    if is_it(offer):
                        self.recorder.held.clear()
                        return offer
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError("%s: not offered within %g s; held instead: %s" % (what, within, held))
                self.recorder.condition.wait(left)

    def none(self, what, kind, is_it=lambda value: True, during=1.0):
        """Asserts that nothing of the kind is told during a time."""
        began = time.monotonic()
        try:
            value = self.wait(what, kind, is_it, within=during)
        except AssertionError:
            return
        raise AssertionError("%s: told after %.2f s: %s" % (what, time.monotonic() - began, value))

    def count(self, kind, is_it=lambda value: True):
        """How many of a kind were told at all."""
        with self.recorder.condition:
            return sum(1 for _, told, value in self.recorder.told if told == kind and is_it(value))

    def status(self, task_id, *states, within=60.0):
        """Waits for a status of a task with one of these states; any other end of it is a failure."""
        def is_it(status):
            return status.task_id.value == task_id and (status.state in states or status.state in TERMINAL)
        status = self.wait("task %s is %s" % (task_id, " or ".join(states)), "status", is_it, within)
        assert status.state in states, "task %s is %s (%s: %s), not %s" % (task_id, status.state, status.get("reason"), status.get("message"), states)
        return status

    def stop(self):
        """Tears the framework down, as pymesos does when it is not told that it will come back."""
        self.driver.stop()
        self.driver.join()


def scalar(name, value, **more):
    return Dict(name=name, type="SCALAR", scalar=Dict(value=value), **more)


def amount(offer, name, is_it=lambda resource: True):
    """How much of something an offer has."""
    return sum(it.scalar.value for it in offer.resources if it.name == name and is_it(it))


def is_plain(resource):
    """Whether it is neither reserved nor a volume."""
    reserved = resource.get("reservations") or resource.get("reservation") or resource.get("role", "*") != "*"
    return not reserved and not resource.get("disk")


def volume_id(resource):
    return resource.get("disk", {}).get("persistence", {}).get("id")


def command_task(task_id, offer, command, resources, **more):
    return Dict(
        task_id=Dict(value=task_id),
        name=task_id,
        agent_id=offer.agent_id,
        command=Dict(shell=True, value=command),
        resources=resources,
        **more
    )
