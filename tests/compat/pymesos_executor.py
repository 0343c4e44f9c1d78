"""An executor written with PyPI's pymesos, unmodified, in a container of its own: subscribes at the agent, runs tasks, speaks with its scheduler, is
killed and shut down, and outlives its agent.

Relies on _cluster.py and _scheduler.py; the executor is this same file. Ends with exit code 0 only when every step was seen.
"""

import base64
import os
import sys
import time

from addict import Dict

from _cluster import Cluster, until

REFUSE_NOTHING = Dict(refuse_seconds=0)


def executor():
    """What runs in the container."""
    from pymesos import Executor, MesosExecutorDriver

    class Echo(Executor):
        """Each task runs until it is killed; a message names one that shall finish, with data for its last status."""

        def tell(self, driver, task_id, state, **more):
            driver.sendStatusUpdate(Dict(task_id=task_id, state=state, timestamp=time.time(), **more))

        def registered(self, driver, executor_info, framework_info, agent_info):
            assert os.environ["MESOS_EXECUTOR_ID"] == executor_info.executor_id.value == "echo"
            assert os.path.realpath(os.getcwd()) == os.path.realpath(os.environ["MESOS_SANDBOX"]), os.getcwd()
            driver.sendFrameworkMessage(base64.b64encode(b"registered").decode())

        def reregistered(self, driver, agent_info):
            driver.sendFrameworkMessage(base64.b64encode(b"reregistered").decode())

        def launchTask(self, driver, task):
            self.tell(driver, task.task_id, "TASK_RUNNING", data=task.data)

        def killTask(self, driver, task_id):
            self.tell(driver, task_id, "TASK_KILLED")

        def frameworkMessage(self, driver, message):
            name = base64.b64decode(message).decode()
            self.tell(driver, Dict(value=name), "TASK_FINISHED", message="as told")
            driver.sendFrameworkMessage(message)

    driver = MesosExecutorDriver(Echo(), use_addict=True)
    driver.run()


def say(*words):
    print("%7.2f s  %s" % (time.monotonic() - BEGAN, " ".join(str(word) for word in words)), flush=True)


BEGAN = time.monotonic()


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def is_message(text):
    return lambda it: base64.b64decode(it.data).decode() == text


def main():
    from _scheduler import Session, scalar

    cluster = Cluster()
    try:
        session = Session(cluster.master.address, "echo", "echo")
        session.wait("SUBSCRIBED", "registered")
        offer = session.take("an offer")
        command = "exec %s -u %s executor" % (sys.executable, os.path.abspath(__file__))
        search = [{"name": "PYTHONPATH", "value": os.path.dirname(os.path.abspath(__file__))}]
        search += [{"name": name, "value": os.environ[name]} for name in ("HOLDFAST_BIN", "HOLDFAST_SCRATCH", "PYTHONDONTWRITEBYTECODE") if name in os.environ]
        info = Dict(
            type="CUSTOM",
            executor_id=Dict(value="echo"),
            framework_id=Dict(value=session.driver.framework_id),
            name="echo",
            command=Dict(shell=True, value=command, environment=Dict(variables=search)),
            resources=[scalar("cpus", 0.1), scalar("mem", 64.0)],
        )

        def task(name):
            return Dict(
                task_id=Dict(value=name), name=name, agent_id=offer.agent_id, executor=info, data=encoded("for " + name),
                resources=[scalar("cpus", 0.1), scalar("mem", 32.0)],
            )

        session.driver.launchTasks(offer.ids, [task("one"), task("two"), task("three")], filters=REFUSE_NOTHING)
        session.wait("the executor is registered", "message", is_message("registered"))
        until("three tasks run", lambda: 3 <= session.count("status", lambda it: it.state == "TASK_RUNNING"))
        data = {it.task_id.value: it.data for _, kind, it in session.recorder.told if kind == "status" and it.state == "TASK_RUNNING"}
        assert data == {name: encoded("for " + name) for name in ("one", "two", "three")}, data
        say("one executor runs three tasks, and their data went there and back")
        executor_id, agent_id = info.executor_id, offer.agent_id
        session.driver.sendFrameworkMessage(executor_id, agent_id, encoded("one"))
        status = session.status("one", "TASK_FINISHED")
        assert status.message == "as told" and status.executor_id.value == "echo", status
        say("a message went there and did what it said")
        session.driver.killTask(Dict(value="two"))
        session.status("two", "TASK_KILLED")
        session.mark()
        cluster.agent.kill()
        cluster.agent.start()
        cluster.wait_for_agent()
        session.wait("the executor finds its agent again", "message", is_message("reregistered"), within=60.0)
        session.driver.reconcileTasks([Dict(task_id=Dict(value="three"))])
        session.status("three", "TASK_RUNNING")
        session.driver.sendFrameworkMessage(executor_id, agent_id, encoded("three"))
        session.status("three", "TASK_FINISHED")
        say("the executor outlived its agent, and went on")
        session.stop()
        until("the executor is shut down", lambda: not executors(cluster))
        say("torn down: nothing runs")
    except BaseException:
        print(cluster.logs(), flush=True)
        raise
    finally:
        cluster.end()


def executors(cluster):
    return [name for name in os.listdir("/proc") if name.isdigit() and cluster._is_contained(name)]


if __name__ == "__main__":
    if sys.argv[1:] == ["executor"]:
        executor()
    else:
        main()
