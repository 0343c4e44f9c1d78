"""The executor API, and what an agent shows of its executors, over raw HTTP: checks fact by fact.

The executor that the agent starts only writes down its environment and sleeps; this script speaks for it. Relies on _cluster.py and _raw.py; ends
with exit code 0 only when every check holds.
"""

import base64
import math
import os
import uuid

from _cluster import Cluster, until
from _raw import JSON, PROTOBUF, Scheduler, Stream, check, get, launch, post, run, scalar, task

EXECUTOR = "/api/v1/executor"
LITTLE = [scalar("cpus", 0.1), scalar("mem", 32)]
LABELS = {"labels": [{"key": "tier", "value": "gold"}]}


def fresh():
    return base64.b64encode(uuid.uuid4().bytes).decode()


class Executor:
    """An executor that runs one task, and speaks through this script."""

    def __init__(self, world, stem):
        self.world = world
        self.scheduler = Scheduler(world.master, stem)
        self.id, self.task = world.name(stem + "-executor"), world.name(stem + "-task")
        offer = self.scheduler.offer()
        self.info = {
            "type": "CUSTOM", "executor_id": {"value": self.id}, "name": "for checks", "source": "raw", "labels": LABELS, "resources": LITTLE,
            "command": {"shell": True, "value": "env > .env && mv .env env && exec sleep 1000", "environment": {"variables": [{"name": "OWN", "value": "yes"}]}},
        }
        self.scheduler.accept(offer, [launch(task(self.task, offer["agent_id"], LITTLE, command=None, executor=self.info, labels=LABELS))])
        self.sandbox = until("the sandbox", self._sandbox)
        self.environment = until("the environment", self._environment)
        self.stream = None

    def _sandbox(self):
        for framework in get(self.world.agent, "/state").json["frameworks"]:
            for each in framework["executors"]:
                if each["id"] == self.id and framework["id"] == self.scheduler.id:
                    return each["directory"]
        return None

    def _environment(self):
        try:
            with open(os.path.join(self.sandbox, "env")) as file:
                return dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
        except FileNotFoundError:
            return None

    def named(self, kind, **body):
        call = {"type": kind, "executor_id": {"value": self.id}, "framework_id": {"value": self.scheduler.id}}
        if body:
            call[kind.lower()] = body
        return call

    def call(self, kind, **body):
        return post(self.world.agent, EXECUTOR, self.named(kind, **body))

    def subscribe(self, tasks=(), updates=()):
        call = self.named("SUBSCRIBE", unacknowledged_tasks=list(tasks), unacknowledged_updates=list(updates))
        self.stream = Stream(self.world.agent, EXECUTOR, call)
        return self

    def wait(self, kind):
        return self.stream.wait(kind, lambda it: it["type"] == kind)

    def status(self, state_name, **more):
        status = {"task_id": {"value": self.task}, "state": state_name, "source": "SOURCE_EXECUTOR", "uuid": fresh(), "executor_id": {"value": self.id}}
        status.update(more)
        return {name: value for name, value in status.items() if value is not None}

    def update(self, status):
        return self.call("UPDATE", status=status)

    def runs(self):
        """Subscribes, takes the task, and lets it run."""
        self.subscribe()
        self.wait("LAUNCH")
        assert self.update(self.status("TASK_RUNNING")).status == 202
        self.scheduler.status(self.task, "TASK_RUNNING")
        return self

    def container(self):
        """What the agent says of its container."""
        shown = self.world.ask_agent("GET_CONTAINERS").json["get_containers"]["containers"]
        [container] = [each for each in shown if each["executor_id"]["value"] == self.id]
        return container

    def end(self):
        if self.stream:
            self.stream.close()
        self.scheduler.teardown()


class World:
    def __init__(self):
        self.cluster = Cluster()
        self.master, self.agent = self.cluster.master.address, self.cluster.agent.address
        self.names = 0

    def name(self, stem):
        self.names += 1
        return "%s-%d" % (stem, self.names)

    def ask_agent(self, kind, **body):
        call = {"type": kind}
        if body:
            call[kind.lower()] = body
        return post(self.agent, "/api/v1", call)


def executes(facts, what, runs=True):
    """A check of an executor, which runs its task."""
    def keep(body):
        def whole(world):
            it = Executor(world, "raw")
            try:
                body(it.runs() if runs else it)
            finally:
                it.end()
        check(facts, what)(whole)
        return body
    return keep


NOBODY = {"type": "SUBSCRIBE", "executor_id": {"value": "e"}, "framework_id": {"value": "f"}, "subscribe": {}}


@check("H2", "a GET of the executor endpoint is 405 and says what is allowed")
def _(world):
    answer = get(world.agent, EXECUTOR)
    assert answer.status == 405 and answer.headers["allow"] == "POST", (answer, answer.headers)


for WHAT, BODY, HEADERS, STATUS in (
    ("an empty body", b"", {}, 400),
    ("a body that is no JSON", b"{", {}, 400),
    ("a body that is no protobuf", b"\xff\xff\xff", {"Content_Type": PROTOBUF}, 400),
    ("no Content-Type", NOBODY, {"Content_Type": None}, 400),
    ("another Content-Type", NOBODY, {"Content_Type": "text/plain"}, 415),
    ("an Accept that nobody can meet", NOBODY, {"Accept": "text/html"}, 406),
    ("a call without a type", {"executor_id": {"value": "e"}, "framework_id": {"value": "f"}}, {}, 400),
    ("a call without executor_id", {"type": "HEARTBEAT", "framework_id": {"value": "f"}}, {}, 400),
    ("a call without framework_id", {"type": "HEARTBEAT", "executor_id": {"value": "e"}}, {}, 400),
    ("a SUBSCRIBE without its message", {name: NOBODY[name] for name in ("type", "executor_id", "framework_id")}, {}, 400),
    ("an UPDATE without its message", dict(NOBODY, type="UPDATE"), {}, 400),
    ("a SUBSCRIBE of a framework that nobody knows", NOBODY, {}, 400),
    ("a MESSAGE of a framework that nobody knows", dict(NOBODY, type="MESSAGE", message={"data": "eA=="}), {}, 400),
):
    def _refused(world, body=BODY, headers=HEADERS, status=STATUS):
        answer = post(world.agent, EXECUTOR, body, **headers)
        assert answer.status == status and answer.text, answer
    check("H2 H3 H25", "%s is %d" % (WHAT, STATUS))(_refused)


@executes("H25", "an executor that its framework does not have is refused", runs=False)
def _(it):
    call = dict(it.named("SUBSCRIBE"), executor_id={"value": "another"}, subscribe={})
    assert post(it.world.agent, EXECUTOR, call).status == 400


@executes("H25", "calls before SUBSCRIBE are 403", runs=False)
def _(it):
    assert it.update(it.status("TASK_RUNNING")).status == 403
    assert it.call("MESSAGE", data="eA==").status == 403


@executes("H28", "an executor finds its world in its environment", runs=False)
def _(it):
    seen = it.environment
    assert seen["MESOS_FRAMEWORK_ID"] == it.scheduler.id and seen["MESOS_EXECUTOR_ID"] == it.id, seen
    assert seen["MESOS_AGENT_ENDPOINT"] == it.world.agent and seen["OWN"] == "yes", seen
    assert os.path.realpath(seen["MESOS_SANDBOX"]) == os.path.realpath(it.sandbox), (seen["MESOS_SANDBOX"], it.sandbox)
    assert seen["MESOS_DIRECTORY"] == seen["MESOS_SANDBOX"] and seen["MESOS_CHECKPOINT"] == "1", seen
    for name in ("MESOS_RECOVERY_TIMEOUT", "MESOS_SUBSCRIPTION_BACKOFF_MAX", "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"):
        assert seen[name].endswith(("secs", "mins")), (name, seen.get(name))
    assert seen["MESOS_SLAVE_PID"].startswith("slave(1)@") and seen["MESOS_SLAVE_ID"], seen


@executes("H26", "SUBSCRIBED says who the executor, its framework and its agent are, and LAUNCH which task", runs=False)
def _(it):
    it.subscribe()
    assert it.stream.status == 200 and it.stream.headers["content-type"] == JSON, it.stream.headers
    first = it.stream.wait("the first event", lambda each: True)
    assert first["type"] == "SUBSCRIBED", first
    subscribed = first["subscribed"]
    assert subscribed["executor_info"]["executor_id"]["value"] == it.id and subscribed["executor_info"]["labels"] == LABELS, subscribed
    assert subscribed["framework_info"]["id"]["value"] == it.scheduler.id and subscribed["agent_info"]["id"]["value"], subscribed
    assert subscribed["container_id"]["value"] == os.path.basename(it.sandbox), (subscribed, it.sandbox)
    launched = it.wait("LAUNCH")["launch"]["task"]
    assert launched["task_id"]["value"] == it.task and launched["labels"] == LABELS, launched


@executes("E52 H26 H27", "UPDATE is 202, is acknowledged to the executor, and told to the scheduler with what it said", runs=False)
def _(it):
    it.subscribe()
    it.wait("LAUNCH")
    status = it.status("TASK_RUNNING", data="eHl6", message="at last", labels=LABELS, healthy=True)
    assert it.update(status).status == 202
    acknowledged = it.wait("ACKNOWLEDGED")["acknowledged"]
    assert acknowledged == {"task_id": {"value": it.task}, "uuid": status["uuid"]}, acknowledged
    told = it.scheduler.status(it.task, "TASK_RUNNING")
    for name in ("data", "message", "labels", "healthy", "uuid", "executor_id", "source"):
        assert told[name] == status[name], (name, told)
    assert told["container_status"]["container_id"]["value"] == os.path.basename(it.sandbox), told


for WHAT, CHANGED in (
    ("without a uuid", {"uuid": None}), ("with a uuid of 3 bytes", {"uuid": "eHl6"}), ("that is not of an executor", {"source": "SOURCE_MASTER"}),
    ("without a source", {"source": None}), ("of another executor", {"executor_id": {"value": "another"}}), ("that stages", {"state": "TASK_STAGING"}),
    ("without a state", {"state": None}), ("with a state that there is none of", {"state": "TASK_FLYING"}), ("without a task", {"task_id": None}),
):
    def _wrong_update(it, changed=CHANGED):
        assert it.update(it.status("TASK_FINISHED", **changed)).status == 400
        it.scheduler.tell("RECONCILE", tasks=[{"task_id": {"value": it.task}}])
        assert it.scheduler.status(it.task, is_it=lambda status: status.get("reason") == "REASON_RECONCILIATION")["state"] == "TASK_RUNNING"
    executes("H27", "a status %s is 400, and changes nothing" % WHAT)(_wrong_update)


@executes("H27", "a status without executor_id is of the executor that says it")
def _(it):
    assert it.update(it.status("TASK_FINISHED", executor_id=None)).status == 202
    assert it.scheduler.status(it.task, "TASK_FINISHED")["executor_id"]["value"] == it.id


@executes("E54", "a status that is said twice is told once")
def _(it):
    status = it.status("TASK_FINISHED")
    it.scheduler.stream.mark()
    assert it.update(status).status == 202
    assert it.update(status).status == 202
    it.scheduler.status(it.task, "TASK_FINISHED")
    it.scheduler.tell("RECONCILE", tasks=[{"task_id": {"value": it.task}}])
    it.scheduler.status(it.task, is_it=lambda each: each.get("reason") == "REASON_RECONCILIATION")
    with it.scheduler.stream.condition:
        told = [each["update"]["status"] for each in it.scheduler.stream.records[it.scheduler.stream.at:] if each["type"] == "UPDATE"]
    assert [each["state"] for each in told if each.get("uuid") == status["uuid"]] == ["TASK_FINISHED"], told


@executes("E52 E53", "the second status waits until the first is acknowledged, and the end is known at once", runs=False)
def _(it):
    it.subscribe()
    it.wait("LAUNCH")
    assert it.update(it.status("TASK_RUNNING")).status == 202
    first = it.scheduler.status(it.task, "TASK_RUNNING", acknowledge=False)
    assert it.update(it.status("TASK_FINISHED")).status == 202

    def ended():
        tasks = post(it.world.master, "/api/v1", {"type": "GET_TASKS"}).json["get_tasks"].get("completed_tasks", [])
        return [each for each in tasks if each["task_id"]["value"] == it.task]
    until("the master knows the end", ended)
    with it.scheduler.stream.condition:
        told = [each["update"]["status"]["state"] for each in it.scheduler.stream.records if each["type"] == "UPDATE"]
    assert "TASK_FINISHED" not in told, told
    it.scheduler.acknowledge(first)
    assert it.scheduler.status(it.task, "TASK_FINISHED")["state"] == "TASK_FINISHED"


@executes("D33 H26", "messages pass both ways, whatever their bytes")
def _(it):
    data = base64.b64encode(bytes(range(256))).decode()
    assert it.call("MESSAGE", data=data).status == 202
    told = it.scheduler.wait("MESSAGE")["message"]
    assert told["data"] == data and told["executor_id"]["value"] == it.id and told["agent_id"]["value"], told
    it.scheduler.tell("MESSAGE", agent_id=told["agent_id"], executor_id={"value": it.id}, data=data)
    assert it.wait("MESSAGE")["message"]["data"] == data


@executes("H25", "HEARTBEAT is 202")
def _(it):
    assert it.call("HEARTBEAT").status == 202


@executes("D30 H26", "KILL is passed on with its policy, and ends nothing by itself")
def _(it):
    policy = {"grace_period": {"nanoseconds": 7000000000}}
    it.scheduler.tell("KILL", task_id={"value": it.task}, kill_policy=policy)
    killed = it.wait("KILL")["kill"]
    assert killed == {"task_id": {"value": it.task}, "kill_policy": policy}, killed
    assert it.update(it.status("TASK_KILLING")).status == 202
    it.scheduler.status(it.task, "TASK_KILLING")
    assert it.update(it.status("TASK_KILLED")).status == 202
    it.scheduler.status(it.task, "TASK_KILLED")


@executes("H26", "a second task is launched on the executor that runs")
def _(it):
    offer, second = it.scheduler.offer(), it.world.name("second")
    it.scheduler.accept(offer, [launch(task(second, offer["agent_id"], LITTLE, command=None, executor=it.info))])
    launched = it.stream.wait("LAUNCH", lambda each: each["type"] == "LAUNCH" and each["launch"]["task"]["task_id"]["value"] == second)
    assert launched["launch"]["task"]["executor"]["executor_id"]["value"] == it.id, launched


@executes("E32 H25", "who subscribes again is told the end of the former stream, and says what was not acknowledged")
def _(it):
    former, late = it.stream, it.status("TASK_FINISHED")
    it.subscribe(updates=[{"status": late}])
    former.end()
    it.wait("SUBSCRIBED")
    assert it.scheduler.status(it.task, "TASK_FINISHED")["uuid"] == late["uuid"]
    assert it.wait("ACKNOWLEDGED")["acknowledged"]["uuid"] == late["uuid"]


@executes("D32 H26", "SHUTDOWN is told to the executor")
def _(it):
    it.scheduler.tell("SHUTDOWN", executor_id={"value": it.id}, agent_id=it.world.ask_agent("GET_AGENT").json["get_agent"]["agent_info"]["id"])
    assert it.wait("SHUTDOWN")["type"] == "SHUTDOWN"


@check("E1 E32", "an executor outlives its agent, and goes on where it was")
def _(world):
    it = Executor(world, "lives").runs()
    former = it.container()
    world.cluster.agent.kill()
    it.stream.end()
    late = it.status("TASK_FINISHED", message="said while the agent was away")
    world.cluster.agent.start()
    world.cluster.wait_for_agent()
    assert world.cluster.agent.address == world.agent
    it.subscribe(updates=[{"status": late}])
    it.wait("SUBSCRIBED")
    told = it.scheduler.status(it.task, "TASK_FINISHED")
    assert told["uuid"] == late["uuid"] and told["message"] == late["message"], told
    later = it.container()
    assert later["container_id"] == former["container_id"], (former, later)
    assert later["container_status"]["executor_pid"] == former["container_status"]["executor_pid"], (former, later)
    it.end()


# What an agent shows.


@executes("H44", "/state of the agent has its frameworks, executors, tasks and sandboxes")
def _(it):
    page = get(it.world.agent, "/state").json
    for name in (
        "attributes", "flags", "frameworks", "completed_frameworks", "hostname", "id", "pid", "port", "resources", "start_time", "version",
        "reserved_resources", "reserved_resources_full", "unreserved_resources", "unreserved_resources_full", "build_date", "build_time", "build_user",
        "reserved_resources_allocated", "unreserved_resources_allocated", "capabilities",
    ):
        assert name in page, name
    assert page["pid"].startswith("slave(1)@") and page["flags"]["work_dir"], page["pid"]
    [framework] = [each for each in page["frameworks"] if each["id"] == it.scheduler.id]
    [seen] = framework["executors"]
    assert seen["id"] == it.id and seen["name"] == "for checks" and seen["source"] == "raw" and seen["directory"] == it.sandbox, seen
    assert seen["container"] == os.path.basename(it.sandbox) and seen["queued_tasks"] == [] and seen["completed_tasks"] == [], seen
    assert math.isclose(seen["resources"]["cpus"], 0.2) and seen["resources"]["mem"] == 64, seen["resources"]
    [shown] = seen["tasks"]
    assert shown["id"] == it.task and shown["state"] == "TASK_RUNNING" and shown["executor_id"] == it.id and shown["labels"] == LABELS["labels"], shown
    assert shown["statuses"][-1]["state"] == "TASK_RUNNING" and shown["slave_id"] == page["id"], shown


@executes("H44 H45", "/monitor/statistics and /containers measure the executor")
def _(it):
    for path in ("/monitor/statistics", "/slave(1)/monitor/statistics", "/containers"):
        [row] = [each for each in get(it.world.agent, path).json if each["executor_id"] == it.id]
        assert row["framework_id"] == it.scheduler.id and row["executor_name"] == "for checks" and row["source"] == "raw", row
        numbers = row["statistics"]
        assert numbers["timestamp"] > 1e9 and numbers["mem_limit_bytes"] >= 64 << 20 and numbers["cpus_limit"] >= 0.2, numbers
        assert numbers["cpus_user_time_secs"] >= 0 and numbers["cpus_system_time_secs"] >= 0 and numbers["mem_rss_bytes"] > 0, numbers
        if path == "/containers":
            assert row["container_id"] == os.path.basename(it.sandbox) and row["status"], row


@executes("H36", "GET_CONTAINERS, GET_EXECUTORS, GET_FRAMEWORKS, GET_TASKS and GET_STATE of the agent show it")
def _(it):
    asked = it.world.ask_agent
    container = it.container()
    assert container["container_id"]["value"] == os.path.basename(it.sandbox) and container["framework_id"]["value"] == it.scheduler.id, container
    assert container["container_status"]["executor_pid"] > 1 and container["resource_statistics"]["timestamp"] > 1e9, container
    [executor] = [each["executor_info"] for each in asked("GET_EXECUTORS").json["get_executors"]["executors"] if each["executor_info"]["executor_id"]["value"] == it.id]
    assert executor["labels"] == LABELS, executor
    frameworks = asked("GET_FRAMEWORKS").json["get_frameworks"]["frameworks"]
    assert it.scheduler.id in [each["framework_info"]["id"]["value"] for each in frameworks], frameworks
    state = asked("GET_STATE").json["get_state"]
    for tasks in (asked("GET_TASKS").json["get_tasks"]["launched_tasks"], state["get_tasks"]["launched_tasks"]):
        [seen] = [each for each in tasks if each["task_id"]["value"] == it.task]
        assert seen["executor_id"]["value"] == it.id and seen["labels"] == LABELS and seen["statuses"][-1]["state"] == "TASK_RUNNING", seen
    assert state["get_executors"] and state["get_frameworks"], state.keys()


@executes("H46", "files: a sandbox is browsed, read in parts and downloaded, by either name of it")
def _(it):
    with open(os.path.join(it.sandbox, "note"), "w") as file:
        file.write("0123456789")
    virtual = "/frameworks/%s/executors/%s/runs/%s" % (it.scheduler.id, it.id, os.path.basename(it.sandbox))
    # What is left of an id that the agent had before, in which the same executor ran.
    former = os.path.dirname(os.path.dirname(os.path.dirname(it.sandbox))).replace(it.sandbox.split("/slaves/")[1].split("/")[0], "0-former")
    os.makedirs(os.path.join(former, it.id, "runs", "latest"))
    for folder in (it.sandbox, virtual, virtual.rsplit("/", 1)[0] + "/latest"):
        listed = get(it.world.agent, "/files/browse?path=" + folder).json
        [note] = [each for each in listed if os.path.basename(each["path"]) == "note"]
        assert note["size"] == 10 and note["mode"].startswith("-rw") and note["uid"] == "root" and note["nlink"] == 1 and note["mtime"] > 1e9, note
        assert note["path"] == folder + "/note", note
        read = lambda query, where=folder: get(it.world.agent, "/files/read?path=%s/note%s" % (where, query))
        assert read("&offset=3&length=4").json == {"data": "3456", "offset": 3}
        assert read("&offset=0").json == {"data": "0123456789", "offset": 0}
        assert read("&offset=-1").json["offset"] == 10 and read("&offset=99").json == {"data": "", "offset": 99}
        assert read("&offset=0&length=2&jsonp=f").text == 'f({"data":"01","offset":0})'
        whole = get(it.world.agent, "/files/download?path=%s/note" % folder)
        assert whole.status == 200 and whole.body == b"0123456789" and "note" in whole.headers["content-disposition"], whole.headers
        asked = it.world.ask_agent("LIST_FILES", path=folder).json["list_files"]["file_infos"]
        assert "note" in [os.path.basename(each["path"]) for each in asked], asked
        part = it.world.ask_agent("READ_FILE", path=folder + "/note", offset=8, length=5).json["read_file"]
        assert part == {"size": 10, "data": base64.b64encode(b"89").decode()}, part


for WHAT, QUERY, STATUS in (
    ("browse of what is not there", "/files/browse?path=/nowhere", 404), ("browse of nothing", "/files/browse", 400),
    ("read of what is not there", "/files/read?path=/nowhere&offset=0", 404), ("read of nothing", "/files/read?offset=0", 400),
    ("read of the machine's own", "/files/read?path=/etc/passwd&offset=0", 404), ("download of the machine's own", "/files/download?path=/etc/passwd", 404),
):
    def _no_file(world, query=QUERY, status=STATUS):
        answer = get(world.agent, query)
        assert answer.status == status, answer
    check("H46", "files: %s is %d" % (WHAT, STATUS))(_no_file)


@executes("H46", "files: no way out of a sandbox by links or dots")
def _(it):
    os.symlink("/etc", os.path.join(it.sandbox, "out"))
    for path in (it.sandbox + "/out/passwd", it.sandbox + "/../../../../../../../../../../../../etc/passwd"):
        answer = get(it.world.agent, "/files/read?path=%s&offset=0" % path)
        assert answer.status in (400, 403, 404) and "root:" not in answer.text, answer


@executes("E48 H44", "the sandbox of an executor that has ended is kept and shown")
def _(it):
    it.scheduler.teardown()

    def shown():
        for framework in get(it.world.agent, "/state").json["completed_frameworks"]:
            if framework["id"] == it.scheduler.id:
                return [each["directory"] for each in framework["completed_executors"]]
        return None
    assert until("it is shown", shown) == [it.sandbox]
    assert get(it.world.agent, "/files/browse?path=" + it.sandbox).status == 200


for WHAT, COMMAND, WAIT_STATUS in (("ends with 7", "exit 7", 7 << 8), ("ends with -1", "exit 255", 255 << 8), ("is killed", "kill -9 $$", 9)):
    def _ends(world, command=COMMAND, wait_status=WAIT_STATUS):
        it = Scheduler(world.master, "ends")
        offer, name = it.offer(), world.name("ends")
        executor = {"type": "CUSTOM", "executor_id": {"value": name}, "resources": LITTLE, "command": {"shell": True, "value": command}}
        it.accept(offer, [launch(task(name, offer["agent_id"], LITTLE, command=None, executor=executor))])
        failure = it.wait("FAILURE", lambda each: each["failure"].get("executor_id"))["failure"]
        assert failure["status"] == wait_status, failure
        it.stream.at = 0
        ended = it.status(name, "TASK_FAILED")
        assert ended["reason"] in ("REASON_EXECUTOR_TERMINATED", "REASON_CONTAINER_LAUNCH_FAILED"), ended
        it.teardown()
    check("E34 H22", "an executor that %s is told with what waitpid says, and its task has failed" % WHAT)(_ends)


if __name__ == "__main__":
    run(World())
