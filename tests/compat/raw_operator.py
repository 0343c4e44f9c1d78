"""The operator API of master and agent and the pages from before it, over raw HTTP: statuses, media types, shapes, claims, quota, maintenance.

Each check cites the facts of the catalogue of Mesos's behaviour that it proves. Relies on _raw.py and on one cluster for all checks.
"""

import json

from _cluster import Cluster
from _raw import JSON, PROTOBUF, Scheduler, Stream, amount, check, form, get, operation, post, reservations, run, scalar, volume

API = "/api/v1"


class World:
    def __init__(self):
        self.cluster = Cluster(agent_arguments=["--attributes", "rack:r1"])
        self.master = self.cluster.master.address
        self.agent = self.cluster.agent.address
        self.agent_id = {"value": self.cluster.list("agents")[0]["id"]}

    def address(self, on):
        return self.master if on == "master" else self.agent

    def call(self, kind, on="master", **body):
        call = {"type": kind}
        if body:
            call[kind.lower()] = body
        return post(self.address(on), API, call)


# Both operator APIs.

for ON in ("master", "agent"):
    def _rule(what, facts, status, on=ON, value=None, **headers):
        def body(world):
            answer = post(world.address(on), API, value if value is not None else {"type": "GET_HEALTH"}, **headers)
            assert answer.status == status, answer
        check(facts, "%s of the %s is %d" % (what, on, status))(body)

    _rule("a call", "H6", 200)
    _rule("a call without Content-Type", "H3", 400, Content_Type=None)
    _rule("a call of text", "H3", 415, Content_Type="text/plain")
    _rule("a call that accepts only text", "H4", 406, Accept="text/plain")
    _rule("a call that accepts anything", "H4", 200, Accept="*/*")
    _rule("a call that says nothing of what it accepts", "H4", 200, Accept=None)
    _rule("a call that accepts protobuf", "H4", 200, Accept=PROTOBUF)
    _rule("a call in protobuf", "H3", 200, value=b"\x08\x01", Content_Type=PROTOBUF)
    _rule("nothing", "H2", 400, value=b"")
    _rule("nonsense", "H2", 400, value=b"{")
    _rule("a call without a type", "H2", 400, value=b"{}")
    _rule("a call with unknown fields", "H15", 200, value={"type": "GET_HEALTH", "novel": [1]})
    _rule("a call of type UNKNOWN", "H24", 501, value={"type": "UNKNOWN"})

    def _get(world, on=ON):
        answer = get(world.address(on), API)
        assert answer.status == 405 and answer.headers["allow"] == "POST", answer
    check("H2", "a GET of the operator API of the %s is 405" % ON)(_get)

    def _gzip(world, on=ON):
        answer = post(world.address(on), API, {"type": "GET_METRICS"}, Accept_Encoding="gzip")
        assert answer.status == 200 and answer.headers.get("content-encoding") == "gzip", answer.headers
    check("H11", "a long answer of the %s is compressed for whoever takes that" % ON)(_gzip)

    for KIND in ("GET_FLAGS", "GET_VERSION", "GET_METRICS", "GET_LOGGING_LEVEL", "GET_STATE", "GET_FRAMEWORKS", "GET_EXECUTORS", "GET_TASKS", "GET_OPERATIONS"):
        def _asks(world, on=ON, kind=KIND):
            answer = world.call(kind, on)
            assert answer.status == 200 and answer.json["type"] == kind, answer
            assert answer.headers["content-type"] == JSON and kind.lower() in answer.json, answer
        check("H30 H36", "%s of the %s is answered" % (KIND, ON))(_asks)

    for PAGE in ("/state", "/flags", "/version", "/metrics/snapshot"):
        def _page(world, on=ON, page=PAGE):
            answer = get(world.address(on), page)
            assert answer.status == 200 and isinstance(answer.json, dict) and answer.headers["content-type"].startswith(JSON), answer
            prefix = "/master" if on == "master" else "/slave(1)"
            if page in ("/state", "/flags"):
                assert get(world.address(on), prefix + page).status == 200
        check("H38 H44", "%s of the %s is a page" % (PAGE, ON))(_page)

    def _health(world, on=ON):
        assert get(world.address(on), "/health").status == 200
    check("H48", "/health of the %s is 200" % ON)(_health)

    def _unknown(world, on=ON):
        assert get(world.address(on), "/no-such-page").status == 404
    check("H38", "a page of the %s that there is none of is 404" % ON)(_unknown)

for KIND in ("GET_AGENTS", "GET_ROLES", "GET_WEIGHTS", "GET_MASTER", "GET_MAINTENANCE_STATUS", "GET_MAINTENANCE_SCHEDULE", "GET_QUOTA"):
    def _of_master(world, kind=KIND):
        answer = world.call(kind)
        assert answer.status == 200 and answer.json["type"] == kind and kind.lower() in answer.json, answer
    check("H30", "%s of the master is answered" % KIND)(_of_master)

for KIND in ("GET_AGENT", "GET_CONTAINERS", "GET_RESOURCE_PROVIDERS"):
    def _of_agent(world, kind=KIND):
        answer = world.call(kind, "agent")
        assert answer.status == 200 and answer.json["type"] == kind, answer
    check("H36", "%s of the agent is answered" % KIND)(_of_agent)

for KIND in (
    "RESERVE_RESOURCES", "UNRESERVE_RESOURCES", "CREATE_VOLUMES", "DESTROY_VOLUMES", "GROW_VOLUME", "SHRINK_VOLUME", "TEARDOWN", "MARK_AGENT_GONE",
    "DRAIN_AGENT", "DEACTIVATE_AGENT", "REACTIVATE_AGENT", "UPDATE_QUOTA", "UPDATE_WEIGHTS", "START_MAINTENANCE", "STOP_MAINTENANCE",
    "UPDATE_MAINTENANCE_SCHEDULE", "LIST_FILES", "READ_FILE", "SET_LOGGING_LEVEL",
):
    def _lacks(world, kind=KIND):
        answer = world.call(kind)
        assert answer.status == 400 and kind.lower() in answer.text, answer
    check("H6", "%s without its message is 400 and names it" % KIND)(_lacks)


@check("H34", "GET_AGENTS tells an agent's info, state, version, times and resources")
def _(world):
    it = world.call("GET_AGENTS").json["get_agents"]["agents"][0]
    assert it["agent_info"]["id"] == world.agent_id and it["active"] is True and it["version"] and it["pid"].startswith("slave(1)@"), it
    assert it["registered_time"]["nanoseconds"] > 0 and it["total_resources"] and it["capabilities"], it


@check("H39", "/state of the master has its keys")
def _(world):
    keys = (
        "version build_date build_time build_user start_time elected_time id pid hostname activated_slaves deactivated_slaves unreachable_slaves "
        "leader leader_info flags slaves recovered_slaves frameworks completed_frameworks orphan_tasks unregistered_frameworks capabilities"
    ).split()
    page = get(world.master, "/state").json
    assert not [key for key in keys if key not in page], [key for key in keys if key not in page]


@check("H40", "/slaves has an agent with each of its sums")
def _(world):
    it = get(world.master, "/slaves").json["slaves"][0]
    keys = (
        "id pid hostname port attributes registered_time resources used_resources offered_resources reserved_resources unreserved_resources active "
        "deactivated version capabilities reserved_resources_full unreserved_resources_full used_resources_full offered_resources_full"
    ).split()
    assert not [key for key in keys if key not in it], [key for key in keys if key not in it]


@check("H40", "/slaves of one agent, and of none")
def _(world):
    assert len(get(world.master, "/slaves?slave_id=" + world.agent_id["value"]).json["slaves"]) == 1
    assert get(world.master, "/slaves?slave_id=nobody").json["slaves"] == []


@check("H12", "jsonp wraps a page")
def _(world):
    text = get(world.master, "/state?jsonp=f").text
    assert text.startswith("f(") and text.endswith(")"), text[-10:]


@check("H43", "/roles tells weight, quota and what is held")
def _(world):
    it = Scheduler(world.master, "roles", roles=["seen"], subscribe={"suppressed_roles": ["seen"]})
    seen = [each for each in get(world.master, "/roles").json["roles"] if each["name"] == "seen"][0]
    assert seen["weight"] == 1 and seen["frameworks"] == [it.id] and "resources" in seen and seen["quota"]["role"] == "seen", seen


@check("H38", "/redirect leads to the leader")
def _(world):
    answer = get(world.master, "/redirect")
    assert answer.status == 307 and answer.headers["location"].startswith("//%s" % world.master), answer.headers


@check("H47", "/metrics/snapshot is flat and of numbers")
def _(world):
    page = get(world.master, "/metrics/snapshot").json
    assert all(isinstance(value, (int, float)) for value in page.values())
    wanted = ["master/elected", "master/uptime_secs", "master/slaves_active", "master/cpus_total", "master/outstanding_offers", "master/frameworks_active"]
    wanted += ["registrar/state_store_ms" + part for part in ("", "/count", "/max", "/min", "/p50", "/p90", "/p95", "/p99", "/p999", "/p9999")]
    wanted += ["registrar/state_fetch_ms", "registrar/log/recovered", "registrar/queued_operations", "allocator/mesos/allocation_runs"]
    wanted += ["master/event_queue_" + what for what in ("messages", "dispatches", "http_requests")]
    wanted += ["allocator/mesos/allocation_run_ms", "master/operator_event_stream_subscribers"]
    assert not [key for key in wanted if key not in page], page.keys()
    assert page["allocator/mesos/allocation_runs"] >= 1 and page["registrar/state_store_ms/max"] >= page["registrar/state_store_ms/min"] > 0, page


@check("H32", "an operator's SUBSCRIBE tells all, then a heartbeat, then what comes")
def _(world):
    stream = Stream(world.master, API, {"type": "SUBSCRIBE"})
    first = stream.wait("SUBSCRIBED", lambda it: True)
    assert first["type"] == "SUBSCRIBED" and first["subscribed"]["get_state"]["get_agents"] and first["subscribed"]["heartbeat_interval_seconds"] == 15.0
    it = Scheduler(world.master, "watched", subscribe={"suppressed_roles": ["*"]})
    added = stream.wait("FRAMEWORK_ADDED", lambda each: each["type"] == "FRAMEWORK_ADDED")
    assert added["framework_added"]["framework"]["framework_info"]["id"]["value"] == it.id, added
    it.teardown()
    stream.wait("FRAMEWORK_REMOVED", lambda each: each["type"] == "FRAMEWORK_REMOVED")
    stream.close()


@check("D25", "TEARDOWN of a framework that nobody knows is 400")
def _(world):
    assert world.call("TEARDOWN", framework_id={"value": "nobody"}).status == 400
    assert form(world.master, "/teardown", frameworkId="nobody").status == 400


# Claims.

DISK = scalar("disk", 64, reservations=reservations("ops"))
DATA = volume(DISK, "data")


@check("B85 H31", "reserve, create, destroy, unreserve are 202 and seen")
def _(world):
    for kind, member, resource in (
        ("RESERVE_RESOURCES", "resources", DISK), ("CREATE_VOLUMES", "volumes", DATA), ("DESTROY_VOLUMES", "volumes", DATA),
        ("UNRESERVE_RESOURCES", "resources", DISK),
    ):
        answer = world.call(kind, agent_id=world.agent_id, **{member: [resource]})
        assert answer.status == 202 and answer.body == b"", (kind, answer)
        held = json.dumps(get(world.master, "/slaves").json["slaves"][0]["reserved_resources_full"])
        assert ('"ops"' in held) == (kind != "UNRESERVE_RESOURCES") and ('"data"' in held) == (kind == "CREATE_VOLUMES"), (kind, held)


@check("B83", "the same by forms")
def _(world):
    agent = world.agent_id["value"]
    for path, member, resource in (
        ("/reserve", "resources", DISK), ("/create-volumes", "volumes", DATA), ("/destroy-volumes", "volumes", DATA), ("/unreserve", "resources", DISK),
    ):
        answer = form(world.master, path, slaveId=agent, **{member: json.dumps([resource])})
        assert answer.status == 202, (path, answer)


def refused(what, facts, status, kind, member, resource, agent=None, differs=None):
    def body(world):
        answer = world.call(kind, agent_id={"value": agent} if agent else world.agent_id, **{member: [resource]})
        assert answer.status == status, answer
    check(facts, "%s is %d" % (what, status), differs=differs)(body)


refused("a reservation of more than there is", "B84", 409, "RESERVE_RESOURCES", "resources", scalar("disk", 1e9, reservations=reservations("ops")))
refused("a reservation of an agent that nobody knows", "B84", 400, "RESERVE_RESOURCES", "resources", DISK, agent="nobody")
refused("a reservation that reserves nothing", "B20", 400, "RESERVE_RESOURCES", "resources", scalar("disk", 64))
refused("a reservation for everybody", "B20", 400, "RESERVE_RESOURCES", "resources", scalar("disk", 64, reservations=reservations("*")))
refused("a reservation of what is allocated", "B27", 400, "RESERVE_RESOURCES", "resources", dict(DISK, allocation_info={"role": "ops"}))
refused("a reservation of a negative amount", "A3", 400, "RESERVE_RESOURCES", "resources", scalar("disk", -1, reservations=reservations("ops")))
refused("a reservation for a role that cannot be", "A40", 400, "RESERVE_RESOURCES", "resources", scalar("disk", 1, reservations=reservations("a b")))
refused("an end of what nobody reserved", "B30", 400, "UNRESERVE_RESOURCES", "resources", scalar("disk", 64))
refused("a volume on what is not reserved", "A45", 400, "CREATE_VOLUMES", "volumes", volume(scalar("disk", 64), "data"))
refused("a volume of what is no disk", "A44", 400, "CREATE_VOLUMES", "volumes", volume(scalar("mem", 64, reservations=reservations("ops")), "data"))
refused("a volume with an id with a slash", "A47", 400, "CREATE_VOLUMES", "volumes", volume(DISK, "a/b"))
refused("a volume on a reservation that is not there", "B84", 409, "CREATE_VOLUMES", "volumes", DATA)
refused("the end of a volume that is not there", "B39", 400, "DESTROY_VOLUMES", "volumes", DATA)


for PATH in ("/reserve", "/unreserve", "/create-volumes", "/destroy-volumes", "/teardown"):
    def _form(world, path=PATH):
        assert form(world.master, path).status == 400
        assert get(world.master, path).status == 405
    check("B84", "%s with nothing is 400, and a GET of it 405" % PATH)(_form)


@check("B5 B18 B60", "operations with ids are told of, acknowledged, and what they made is offered")
def _(world):
    it = Scheduler(world.master, "claims", roles=["db"])
    offer = it.offer(lambda each: amount(each["resources"], "disk") >= 64)
    disk = scalar("disk", 64, reservations=reservations("db"), allocation_info={"role": "db"})
    data = volume(disk, "v")
    it.accept(offer, [operation("RESERVE", "r", resources=[disk]), operation("CREATE", "c", volumes=[data])])
    for name in ("r", "c"):
        it.stream.at = 0
        status = it.operation(name, "OPERATION_FINISHED")
        assert status["agent_id"] == world.agent_id and status["uuid"]["value"], status
        it.acknowledge_operation(status)
    has = lambda each: "persistence" in each.get("disk", {})
    offer = it.offer(lambda each: any(has(resource) for resource in each["resources"]))
    it.accept(offer, [operation("DESTROY", "d", volumes=[data]), operation("UNRESERVE", "u", resources=[disk])])
    for name in ("d", "u"):
        it.stream.at = 0
        it.acknowledge_operation(it.operation(name, "OPERATION_FINISHED"))


for WHAT, AGENT, STATE in (
    ("of an agent that is here", True, "OPERATION_UNKNOWN"), ("of no agent", False, "OPERATION_UNKNOWN"), ("of an agent that nobody knows", "nobody", "OPERATION_UNKNOWN"),
):
    def _reconciles(world, agent=AGENT, state=STATE):
        it = Scheduler(world.master, "asks", subscribe={"suppressed_roles": ["*"]})
        question = {"operation_id": {"value": "o"}}
        if agent:
            question["agent_id"] = world.agent_id if agent is True else {"value": agent}
        it.tell("RECONCILE_OPERATIONS", operations=[question])
        status = it.operation("o")
        assert status["state"] == state and "uuid" not in status, status
    check("B81 B82", "a question after an operation %s that nobody knows is %s" % (WHAT, STATE))(_reconciles)


def refused_operation(what, facts, make):
    def body(world):
        it = Scheduler(world.master, "refused", roles=["db"])
        it.accept(it.offer(), [make("o")])
        status = it.operation("o")
        assert status["state"] == "OPERATION_ERROR" and status["message"] and "uuid" not in status, status
    check(facts, "%s is OPERATION_ERROR" % what)(body)


def reserve(name, value=64, role="db", **more):
    return operation("RESERVE", name, resources=[scalar("disk", value, reservations=reservations(role), allocation_info={"role": role}, **more)])


refused_operation("RESERVE of too much", "B4 B25", lambda name: reserve(name, 1e9))
refused_operation("RESERVE for another role", "B21", lambda name: reserve(name, role="other"))
refused_operation("RESERVE of nothing", "B28", lambda name: operation("RESERVE", name, resources=[]))
refused_operation("UNRESERVE of what is not reserved", "B30", lambda name: operation("UNRESERVE", name, resources=[scalar("disk", 64)]))
refused_operation("CREATE on what is not reserved", "B34", lambda name: operation("CREATE", name, volumes=[volume(scalar("disk", 64), "v")]))
refused_operation("DESTROY of what is not there", "B39", lambda name: operation("DESTROY", name, volumes=[volume(scalar("disk", 64, reservations=reservations("db")), "v")]))


# Quota, weights, maintenance, agents.


@check("G11 I17", "quota is set, shown and removed")
def _(world):
    config = {"role": "q", "limits": {"cpus": {"value": 2}}}
    assert world.call("UPDATE_QUOTA", quota_configs=[config]).status == 200
    seen = [each for each in world.call("GET_QUOTA").json["get_quota"]["status"]["configs"] if each["role"] == "q"]
    assert seen and seen[0]["limits"]["cpus"]["value"] == 2, seen
    assert world.call("UPDATE_QUOTA", quota_configs=[{"role": "q"}]).status == 200


for WHAT, CONFIG, STATUS in (
    ("of a role below another", {"role": "a/b", "limits": {"cpus": {"value": 1}}}, 400),
    ("that guarantees more than its limit", {"role": "q", "guarantees": {"cpus": {"value": 2}}, "limits": {"cpus": {"value": 1}}}, 400),
    ("of a negative amount", {"role": "q", "limits": {"cpus": {"value": -1}}}, 400),
):
    def _quota(world, config=CONFIG, status=STATUS):
        assert world.call("UPDATE_QUOTA", quota_configs=[config]).status == status
    check("G11", "quota %s is %d" % (WHAT, STATUS))(_quota)


@check("I16", "weights are set, shown, and must be above nought")
def _(world):
    assert world.call("UPDATE_WEIGHTS", weight_infos=[{"role": "w", "weight": 2.5}]).status == 200
    assert {"role": "w", "weight": 2.5} in world.call("GET_WEIGHTS").json["get_weights"]["weight_infos"]
    assert world.call("UPDATE_WEIGHTS", weight_infos=[{"role": "w", "weight": 0}]).status == 400


for KIND in ("DRAIN_AGENT", "DEACTIVATE_AGENT", "REACTIVATE_AGENT", "MARK_AGENT_GONE"):
    def _no_agent(world, kind=KIND):
        status = 404 if kind == "MARK_AGENT_GONE" else 400
        assert world.call(kind, agent_id={"value": "nobody"}).status == status
    check("F29 F38 F39", "%s of an agent that nobody knows is refused" % KIND)(_no_agent)


@check("F39", "an agent that is deactivated says so until it is reactivated")
def _(world):
    def shown():
        return world.call("GET_AGENTS").json["get_agents"]["agents"][0]
    assert world.call("DEACTIVATE_AGENT", agent_id=world.agent_id).status == 200
    assert shown()["deactivated"] is True
    assert world.call("REACTIVATE_AGENT", agent_id=world.agent_id).status == 200
    assert shown()["deactivated"] is False


@check("I7", "a schedule is taken, shown and replaced")
def _(world):
    window = {"machine_ids": [{"hostname": "m"}], "unavailability": {"start": {"nanoseconds": 10**18}}}
    assert world.call("UPDATE_MAINTENANCE_SCHEDULE", schedule={"windows": [window]}).status == 200
    assert "m" in json.dumps(world.call("GET_MAINTENANCE_SCHEDULE").json)
    assert "m" in json.dumps(get(world.master, "/maintenance/schedule").json)
    assert world.call("UPDATE_MAINTENANCE_SCHEDULE", schedule={"windows": [window, window]}).status == 400
    assert world.call("START_MAINTENANCE", machines=[{"hostname": "unscheduled"}]).status == 400
    assert world.call("UPDATE_MAINTENANCE_SCHEDULE", schedule={}).status == 200


if __name__ == "__main__":
    run(World())
