"""The scheduler API over raw HTTP: statuses, media types, streams, subscribing, offers, tasks and what is told of them.

Each check cites the facts of the catalogue of Mesos's behaviour that it proves. Relies on _raw.py and on one cluster for all checks.
"""

import base64
import gzip
import json
import math
import re

from _cluster import Cluster, until
from _raw import (
    JSON, NEWEST, PROTOBUF, SCHEDULER, Scheduler, Stream, Wire, amount, ask, check, framework_info, get, is_plain, launch, operation,
    post, protobuf, refused_subscription, reservations, run, scalar, task,
)

SUBSCRIBE = {"type": "SUBSCRIBE", "subscribe": {"framework_info": framework_info("once")}}
TEARDOWN = {"type": "TEARDOWN", "framework_id": {"value": "nobody"}}


class World:
    def __init__(self):
        self.cluster = Cluster(agent_arguments=["--attributes", "rack:r1;kind:fast;size:7;rack:r2;span:[1-5]"])
        self.master = self.cluster.master.address
        self.agent = self.cluster.agent.address
        self.agent_id = self.cluster.list("agents")[0]["id"]
        # What a closed stream leaves behind must not wait for an answer that nobody gives.
        self.first = Scheduler(self.master, "first", subscribe={"suppressed_roles": ["*"]})
        self.names = 0

    def name(self, stem):
        self.names += 1
        return "%s-%d" % (stem, self.names)

    def operator(self, kind, **body):
        call = {"type": kind}
        if body:
            call[kind.lower()] = body
        return post(self.master, "/api/v1", call)

    def framework(self, framework_id):
        answer = self.operator("GET_FRAMEWORKS").json["get_frameworks"]
        for it in answer.get("frameworks", []) + answer.get("completed_frameworks", []):
            if it["framework_info"]["id"]["value"] == framework_id:
                return it
        return None


# What every call is held to.


@check("H2", "a GET of the scheduler endpoint is 405 and says what is allowed")
def _(world):
    answer = get(world.master, SCHEDULER)
    assert answer.status == 405 and answer.headers["allow"] == "POST", (answer, answer.headers)


@check("H2", "an empty body is 400")
def _(world):
    assert post(world.master, SCHEDULER, b"").status == 400


@check("H2", "a body that is no JSON is 400")
def _(world):
    assert post(world.master, SCHEDULER, b"{nonsense").status == 400


@check("H2", "a body of JSON that is no object is 400")
def _(world):
    assert post(world.master, SCHEDULER, b"[1]").status == 400


@check("H2", "a body that is no protobuf is 400")
def _(world):
    assert post(world.master, SCHEDULER, b"\xff\xff\xff", Content_Type=PROTOBUF).status == 400


@check("H3", "no Content-Type is 400")
def _(world):
    answer = post(world.master, SCHEDULER, SUBSCRIBE, Content_Type=None)
    assert answer.status == 400 and "Content-Type" in answer.text, answer


@check("H3", "another Content-Type is 415")
def _(world):
    assert post(world.master, SCHEDULER, SUBSCRIBE, Content_Type="text/plain").status == 415


@check("H3", "a Content-Type with a charset is taken")
def _(world):
    assert post(world.master, SCHEDULER, TEARDOWN, Content_Type="application/json; charset=utf-8").status in (400, 415)


@check("H4", "SUBSCRIBE that accepts neither JSON nor protobuf is 406")
def _(world):
    assert post(world.master, SCHEDULER, SUBSCRIBE, Accept="text/html").status == 406


@check("H4", "other calls do not look at Accept")
def _(world):
    call = {"type": "REVIVE", "framework_id": {"value": world.first.id}, "revive": {"roles": ["none"]}}
    answer = post(world.master, SCHEDULER, call, Accept="text/html", Mesos_Stream_Id=world.first.stream_id)
    assert answer.status == 202, answer


@check("H4 D1", "without Accept the stream is JSON")
def _(world):
    stream = Stream(world.master, SCHEDULER, SUBSCRIBE, Accept=None)
    assert stream.headers["content-type"] == JSON, stream.headers
    stream.close()


@check("H4 D1", "whoever accepts anything gets JSON")
def _(world):
    stream = Stream(world.master, SCHEDULER, SUBSCRIBE, Accept="*/*")
    assert stream.headers["content-type"] == JSON, stream.headers
    stream.close()


@check("H4", "whoever prefers protobuf among both is served one of them")
def _(world):
    stream = Stream(world.master, SCHEDULER, SUBSCRIBE, Accept="application/x-protobuf;q=0.9, text/html;q=0.1")
    assert stream.headers["content-type"] == PROTOBUF, stream.headers
    stream.close()


@check("H8 H9", "a protobuf SUBSCRIBE is answered with records of protobuf")
def _(world):
    info = protobuf((1, "root"), (2, "binary"))
    body = protobuf((2, 1), (3, protobuf((1, info))))
    stream = Stream(world.master, SCHEDULER, body, Content_Type=PROTOBUF, Accept=PROTOBUF)
    assert stream.status == 200 and stream.headers["content-type"] == PROTOBUF, stream.headers
    first = stream.wait("a record", lambda it: True)
    assert first[:2] == b"\x08\x01", first
    stream.close()


@check("H8", "the answer to SUBSCRIBE is 200, chunked, and names its stream")
def _(world):
    stream = world.first.stream
    assert stream.status == 200 and stream.headers["transfer-encoding"] == "chunked"
    assert len(stream.headers["mesos-stream-id"]) == 36, stream.headers


@check("H8", "two streams have two names")
def _(world):
    other = Scheduler(world.master, "other")
    assert other.stream_id != world.first.stream_id
    other.teardown()


@check("H9", "each record is one chunk, and JSON on one line")
def _(world):
    for chunk in list(world.first.stream.chunks):
        size, rest = chunk.split(b"\n", 1)
        assert int(size) == len(rest) and b"\n" not in rest, chunk


@check("D1", "SUBSCRIBED comes first, a HEARTBEAT at once after it")
def _(world):
    other = Scheduler(world.master, "beats", subscribe={"suppressed_roles": ["*"]})
    other.wait("HEARTBEAT")
    kinds = [it["type"] for it in other.stream.records[:2]]
    assert kinds == ["SUBSCRIBED", "HEARTBEAT"], kinds
    other.teardown()


@check("D1", "SUBSCRIBED tells the interval of heartbeats, which is 15 seconds")
def _(world):
    assert world.first.subscribed["heartbeat_interval_seconds"] == 15.0, world.first.subscribed


@check("D1 I15", "SUBSCRIBED tells who the master is")
def _(world):
    info = world.first.subscribed["master_info"]
    host, port = world.master.split(":")
    assert info["port"] == int(port) and info["address"]["port"] == int(port) and info["address"]["ip"] == host, info
    assert info["pid"] == "master@%s" % world.master and info["id"] and info["hostname"] and info["version"], info
    assert isinstance(info["ip"], int), info


@check("C2", "framework ids are a uuid and a number of four digits")
def _(world):
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9]{4,}", world.first.id), world.first.id


@check("D1", "an empty framework id is none")
def _(world):
    info = framework_info("empty", id={"value": ""})
    stream = Stream(world.master, SCHEDULER, {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}})
    first = stream.wait("SUBSCRIBED", lambda it: it["type"] == "SUBSCRIBED")
    assert first["subscribed"]["framework_id"]["value"], first
    stream.close()


@check("D9", "SUBSCRIBE with a stream id is 400")
def _(world):
    answer = post(world.master, SCHEDULER, SUBSCRIBE, Mesos_Stream_Id="x")
    assert answer.status == 400 and "Mesos-Stream-Id" in answer.text, answer


@check("D9 H7", "a call without a stream id is 400")
def _(world):
    answer = post(world.master, SCHEDULER, {"type": "REVIVE", "framework_id": {"value": world.first.id}})
    assert answer.status == 400 and "Mesos-Stream-Id" in answer.text, answer


@check("D9 H7", "a call with another stream id is 400")
def _(world):
    call = {"type": "REVIVE", "framework_id": {"value": world.first.id}}
    answer = post(world.master, SCHEDULER, call, Mesos_Stream_Id="f0c0ffee-0000-4000-8000-000000000000")
    assert answer.status == 400 and "Mesos-Stream-Id" in answer.text, answer


@check("H7", "a call without a framework id is 400")
def _(world):
    answer = post(world.master, SCHEDULER, {"type": "REVIVE"}, Mesos_Stream_Id=world.first.stream_id)
    assert answer.status == 400 and "framework_id" in answer.text, answer


@check("D28 H7", "a call of a framework that is not known is 400")
def _(world):
    answer = post(world.master, SCHEDULER, TEARDOWN, Mesos_Stream_Id="x")
    assert answer.status == 400, answer


@check("H24", "a call of type UNKNOWN is 501")
def _(world):
    answer = post(world.master, SCHEDULER, {"type": "UNKNOWN", "framework_id": {"value": world.first.id}}, Mesos_Stream_Id=world.first.stream_id)
    assert answer.status == 501, answer


@check("H2", "a call without a type is 400")
def _(world):
    answer = post(world.master, SCHEDULER, {"framework_id": {"value": world.first.id}}, Mesos_Stream_Id=world.first.stream_id)
    assert answer.status == 400 and "type" in answer.text, answer


@check("H13", "a type that nobody knows is taken as unset")
def _(world):
    answer = post(world.master, SCHEDULER, {"type": "NONSENSE", "framework_id": {"value": world.first.id}}, Mesos_Stream_Id=world.first.stream_id)
    assert answer.status in (400, 501), answer


for KIND, MEMBER in (
    ("SUBSCRIBE", "subscribe"), ("ACCEPT", "accept"), ("DECLINE", "decline"), ("KILL", "kill"), ("SHUTDOWN", "shutdown"),
    ("ACKNOWLEDGE", "acknowledge"), ("RECONCILE", "reconcile"), ("MESSAGE", "message"), ("REQUEST", "request"),
    ("ACCEPT_INVERSE_OFFERS", "accept_inverse_offers"), ("DECLINE_INVERSE_OFFERS", "decline_inverse_offers"),
    ("ACKNOWLEDGE_OPERATION_STATUS", "acknowledge_operation_status"), ("RECONCILE_OPERATIONS", "reconcile_operations"),
    ("UPDATE_FRAMEWORK", "update_framework"),
):
    def _lacks(world, kind=KIND, member=MEMBER):
        call = {"type": kind}
        stream_id = None
        if kind != "SUBSCRIBE":
            call["framework_id"] = {"value": world.first.id}
            stream_id = world.first.stream_id
        answer = post(world.master, SCHEDULER, call, Mesos_Stream_Id=stream_id)
        assert answer.status == 400 and member in answer.text, answer

    check("H6", "%s without its message is 400 and names it" % KIND)(_lacks)


@check("H6", "a call that is taken is 202 with nothing in it")
def _(world):
    answer = world.first.call("REVIVE", roles=["nothing"])
    assert answer.status == 202 and answer.body == b"", answer


@check("H1", "the process's name may stand before the path")
def _(world):
    call = {"type": "REVIVE", "framework_id": {"value": world.first.id}, "revive": {"roles": ["none"]}}
    answer = post(world.master, "/master/api/v1/scheduler", call, Mesos_Stream_Id=world.first.stream_id)
    assert answer.status == 202, answer


@check("H11", "a body may be compressed")
def _(world):
    call = {"type": "REVIVE", "framework_id": {"value": world.first.id}, "revive": {"roles": ["none"]}}
    body = gzip.compress(json.dumps(call).encode())
    answer = post(world.master, SCHEDULER, body, Mesos_Stream_Id=world.first.stream_id, Content_Encoding="gzip")
    assert answer.status == 202, answer


@check("H11", "a connection serves several requests, also when they are sent at once")
def _(world):
    wire = Wire(world.master)
    body = json.dumps({"type": "GET_HEALTH"}).encode()
    for _ in range(3):
        wire.send("POST", "/api/v1", {"Content-Type": JSON}, body)
    assert [wire.answer().status for _ in range(3)] == [200] * 3
    wire.close()


@check("H2", "a body may come in chunks")
def _(world):
    body = json.dumps({"type": "GET_HEALTH"}).encode()
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (3, body[:3], len(body) - 3, body[3:])
    answer = ask(world.master, "POST", "/api/v1", {"Content-Type": JSON, "Transfer-Encoding": "chunked"}, chunks)
    assert answer.status == 200, answer


@check("H15", "null is unset, and unknown fields are passed over")
def _(world):
    call = {"type": "REVIVE", "framework_id": {"value": world.first.id}, "revive": {"roles": ["none"], "novel": 1}, "kill": None, "x": {"y": []}}
    answer = post(world.master, SCHEDULER, call, Mesos_Stream_Id=world.first.stream_id)
    assert answer.status == 202, answer


@check("H15", "a required field that is missing is 400")
def _(world):
    call = {"type": "KILL", "framework_id": {"value": world.first.id}, "kill": {}}
    answer = post(world.master, SCHEDULER, call, Mesos_Stream_Id=world.first.stream_id)
    assert answer.status == 400 and "task_id" in answer.text, answer


@check("H15", "an id without its value is 400")
def _(world):
    call = {"type": "KILL", "framework_id": {"value": world.first.id}, "kill": {"task_id": {}}}
    assert post(world.master, SCHEDULER, call, Mesos_Stream_Id=world.first.stream_id).status == 400


@check("H14", "numbers may come as text, truth as well")
def _(world):
    info = framework_info("texts", failover_timeout="12.5", checkpoint="true")
    stream = Stream(world.master, SCHEDULER, {"type": "SUBSCRIBE", "subscribe": {"framework_info": info, "suppressed_roles": ["*"]}})
    first = stream.wait("SUBSCRIBED", lambda it: it["type"] == "SUBSCRIBED")
    seen = world.framework(first["subscribed"]["framework_id"]["value"])["framework_info"]
    assert seen["failover_timeout"] == 12.5 and seen["checkpoint"] is True, seen
    stream.close()


@check("H14", "bytes that are no base64 are 400")
def _(world):
    answer = world.first.call("MESSAGE", agent_id={"value": "a"}, executor_id={"value": "e"}, data="%%%")
    assert answer.status == 400, answer


# Subscribing.


@check("D2", "a framework id in the call alone is 400")
def _(world):
    status, text = refused_subscription(world.master, framework_info("two"), framework_id="x")
    assert status == 400 and "framework_id" in text, (status, text)


@check("D2", "a framework id in the info alone is 400")
def _(world):
    status, text = refused_subscription(world.master, framework_info("two", id={"value": "x"}))
    assert status == 400 and "framework_id" in text, (status, text)


@check("D2", "two framework ids that differ are 400")
def _(world):
    status, text = refused_subscription(world.master, framework_info("two", id={"value": "x"}), framework_id="y")
    assert status == 400 and "framework_info.id" in text, (status, text)


@check("H15", "an info without a user is 400")
def _(world):
    answer = post(world.master, SCHEDULER, {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"name": "x"}}})
    assert answer.status == 400 and "user" in answer.text, answer


@check("H15", "an info without a name is 400")
def _(world):
    answer = post(world.master, SCHEDULER, {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "x"}}})
    assert answer.status == 400 and "name" in answer.text, answer


for WHAT, FACTS, CHANGE, WORD in (
    ("a role twice", "D10", {"roles": ["a", "a"]}, "twice"),
    ("an empty role", "A40", {"roles": [""]}, ""),
    ("a role with a slash in front", "A40", {"roles": ["/a"]}, "roles[0]"),
    ("a role with a slash behind", "A40", {"roles": ["a/"]}, "roles[0]"),
    ("a role with two slashes", "A40", {"roles": ["a//b"]}, ""),
    ("a role that is a dot", "A40", {"roles": ["."]}, ""),
    ("a role with a component of two dots", "A40", {"roles": ["a/.."]}, ""),
    ("a role with a star below", "A40", {"roles": ["a/*"]}, ""),
    ("a role that begins with a dash", "A40", {"roles": ["-a"]}, ""),
    ("a role with a blank", "A40", {"roles": ["a b"]}, ""),
    ("a role with a tabulator", "A40", {"roles": ["a\tb"]}, ""),
    ("`role` beside MULTI_ROLE", "D10", {"role": "a"}, "role"),
    ("a negative failover timeout", "D10", {"failover_timeout": -1.0}, "failover"),
    ("a failover timeout that is no duration", "D10", {"failover_timeout": 1e300}, "failover"),
    ("filters of a role that is not its own", "D10", {"offer_filters": {"b": {"min_allocatable_resources": {}}}}, ""),
):
    def _refuses(world, change=CHANGE, word=WORD):
        status, text = refused_subscription(world.master, framework_info("bad", **change))
        assert status == 200 and word in text.lower(), (status, text)

    check(FACTS + " D8", "SUBSCRIBE with %s is told an ERROR on a stream that ends" % WHAT)(_refuses)


@check("D10 D8", "SUBSCRIBE with roles and without MULTI_ROLE is told an ERROR")
def _(world):
    status, text = refused_subscription(world.master, dict(framework_info("bad", capabilities=[], role=None), roles=["a"]))
    assert status == 200 and "roles" in text, (status, text)


@check("C12 D8", "SUBSCRIBE that suppresses a role that is not its own is told an ERROR")
def _(world):
    status, text = refused_subscription(world.master, framework_info("bad"), suppressed_roles=["b"])
    assert status == 200 and "suppress" in text.lower(), (status, text)


@check("D30", "capabilities that nobody knows are passed over")
def _(world):
    info = framework_info("novel", capabilities=NEWEST + ["LEVITATION"])
    stream = Stream(world.master, SCHEDULER, {"type": "SUBSCRIBE", "subscribe": {"framework_info": info, "suppressed_roles": ["*"]}})
    stream.wait("SUBSCRIBED", lambda it: it["type"] == "SUBSCRIBED")
    stream.close()


@check("D6", "an id that nobody knows is taken")
def _(world):
    mine = "somebody-elses-%s" % world.name("id")
    other = Scheduler(world.master, "stranger", framework_id=mine, subscribe={"suppressed_roles": ["*"]})
    assert other.id == mine, other.id
    other.teardown()


@check("D10 A47", "an id that cannot be one is refused")
def _(world):
    status, text = refused_subscription(world.master, framework_info("bad", id={"value": "a/b"}), framework_id="a/b")
    assert status in (200, 400) and "id" in text.lower(), (status, text)


@check("D4 H23", "whoever subscribes again takes over, and the former stream is told so and ends")
def _(world):
    before = Scheduler(world.master, "taken", subscribe={"suppressed_roles": ["*"]})
    after = Scheduler(world.master, "taken", framework_id=before.id, subscribe={"suppressed_roles": ["*"]})
    error = before.wait("ERROR")["error"]["message"]
    assert error == "Framework failed over", error
    before.stream.end()
    assert after.id == before.id and after.stream_id != before.stream_id
    assert before.call("REVIVE").status == 400
    after.teardown()


@check("D7", "a framework that was removed does not come back")
def _(world):
    it = Scheduler(world.master, "removed", subscribe={"suppressed_roles": ["*"]})
    it.teardown()
    status, text = refused_subscription(world.master, framework_info("removed", id={"value": it.id}), framework_id=it.id)
    assert status == 200 and text.startswith("Framework has been removed"), (status, text)


@check("D22", "TEARDOWN ends the stream, and the framework is among those that are completed")
def _(world):
    it = Scheduler(world.master, "ends", subscribe={"suppressed_roles": ["*"]})
    assert it.call("TEARDOWN").status == 202
    it.stream.end()
    done = world.operator("GET_FRAMEWORKS").json["get_frameworks"]["completed_frameworks"]
    assert it.id in [each["framework_info"]["id"]["value"] for each in done], done


@check("D28", "a call of a framework whose stream has broken is 403")
def _(world):
    it = Scheduler(world.master, "broken", subscribe={"suppressed_roles": ["*"]})
    it.stream.close()
    until("it is away", lambda: not world.framework(it.id)["connected"])
    answer = it.call("REVIVE")
    assert answer.status == 403 and "not subscribed" in answer.text.lower(), answer
    world.operator("TEARDOWN", framework_id={"value": it.id})


@check("D17 D21", "a framework whose stream has broken is neither connected nor active")
def _(world):
    it = Scheduler(world.master, "away")
    seen = world.framework(it.id)
    assert seen["connected"] is True and seen["active"] is True and seen["recovered"] is False, seen
    it.stream.close()
    until("it is away", lambda: not world.framework(it.id)["connected"])
    assert world.framework(it.id)["active"] is False
    world.operator("TEARDOWN", framework_id={"value": it.id})


@check("D19", "without a failover timeout a broken stream is the end")
def _(world):
    it = Scheduler(world.master, "brief", failover_timeout=0, subscribe={"suppressed_roles": ["*"]})
    it.stream.close()

    def gone():
        done = world.operator("GET_FRAMEWORKS").json["get_frameworks"].get("completed_frameworks", [])
        return it.id in [each["framework_info"]["id"]["value"] for each in done]
    until("it is removed", gone)


@check("D12", "subscribing again changes name, timeout, labels and roles")
def _(world):
    before = Scheduler(world.master, "before", roles=["a"], subscribe={"suppressed_roles": ["a"]})
    labels = {"labels": [{"key": "k", "value": "v"}]}
    after = Scheduler(
        world.master, "after", roles=["a", "b"], framework_id=before.id, failover_timeout=7.0, labels=labels, webui_url="http://x/",
        hostname="there", subscribe={"suppressed_roles": ["a", "b"]},
    )
    seen = world.framework(after.id)["framework_info"]
    assert seen["name"] == "after" and seen["roles"] == ["a", "b"] and seen["failover_timeout"] == 7.0, seen
    assert seen["labels"] == labels and seen["webui_url"] == "http://x/" and seen["hostname"] == "there", seen
    after.teardown()


@check("D12", "subscribing again with another user or checkpoint keeps the former")
def _(world):
    before = Scheduler(world.master, "kept", subscribe={"suppressed_roles": ["*"]})
    after = Scheduler(world.master, "kept", framework_id=before.id, user="nobody", checkpoint=False, subscribe={"suppressed_roles": ["*"]})
    seen = world.framework(after.id)["framework_info"]
    assert seen["user"] == "root" and seen["checkpoint"] is True, seen
    after.teardown()


@check("D12", "subscribing again with another principal is told an ERROR")
def _(world):
    before = Scheduler(world.master, "mine", principal="p", subscribe={"suppressed_roles": ["*"]})
    status, text = refused_subscription(world.master, framework_info("mine", principal="q", id={"value": before.id}), framework_id=before.id)
    assert status == 200 and "principal" in text, (status, text)
    before.teardown()


@check("D15", "a framework may turn from one role to several")
def _(world):
    before = Scheduler(world.master, "turns", roles=["a"], capabilities=[], subscribe={"suppressed_roles": ["a"]})
    after = Scheduler(world.master, "turns", roles=["a", "b"], framework_id=before.id, subscribe={"suppressed_roles": ["a", "b"]})
    seen = world.framework(after.id)["framework_info"]
    assert seen["roles"] == ["a", "b"] and "role" not in seen, seen
    after.teardown()


@check("D13 H6", "UPDATE_FRAMEWORK is 200 and changes what it says")
def _(world):
    it = Scheduler(world.master, "updates", roles=["a"], subscribe={"suppressed_roles": ["a"]})
    info = dict(it.info, id={"value": it.id}, name="updated", roles=["a", "b"])
    answer = it.call("UPDATE_FRAMEWORK", framework_info=info, suppressed_roles=["a", "b"])
    assert answer.status == 200, answer
    until("the new description is shown", lambda: world.framework(it.id)["framework_info"]["name"] == "updated")
    assert world.framework(it.id)["framework_info"]["roles"] == ["a", "b"]
    it.teardown()


for WHAT, CHANGE in (
    ("user", {"user": "nobody"}), ("checkpoint", {"checkpoint": False}), ("principal", {"principal": "other"}), ("role", {"roles": ["a b"]}),
    ("failover_timeout", {"failover_timeout": -3.0}),
):
    def _is_refused(world, what=WHAT, change=CHANGE):
        it = Scheduler(world.master, "updates", principal="p", subscribe={"suppressed_roles": ["*"]})
        answer = it.call("UPDATE_FRAMEWORK", framework_info=dict(it.info, id={"value": it.id}, **change))
        assert answer.status == 400 and what in answer.text.lower(), answer
        it.teardown()

    check("D13", "UPDATE_FRAMEWORK that changes %s to what it cannot be is 400" % WHAT)(_is_refused)


@check("D13", "UPDATE_FRAMEWORK without the framework's id in its info is 400")
def _(world):
    answer = world.first.call("UPDATE_FRAMEWORK", framework_info=world.first.info)
    assert answer.status == 400, answer


@check("C12 D13", "UPDATE_FRAMEWORK that suppresses a role that is not its own is 400")
def _(world):
    info = dict(world.first.info, id={"value": world.first.id})
    answer = world.first.call("UPDATE_FRAMEWORK", framework_info=info, suppressed_roles=["b"])
    assert answer.status == 400, answer


# Offers.


@check("C1 C2", "an offer carries agent, host, attributes, address, role")
def _(world):
    it = Scheduler(world.master, "offered")
    offer = it.offer()
    assert offer["framework_id"]["value"] == it.id and offer["agent_id"]["value"] == world.agent_id, offer
    assert re.search(r"-O[0-9]+$", offer["id"]["value"]), offer
    host, port = world.agent.split(":")
    assert offer["url"]["scheme"] == "http" and offer["url"]["path"] == "/slave(1)", offer["url"]
    assert offer["url"]["address"]["port"] == int(port) and offer["url"]["address"]["ip"] == host, offer["url"]
    attributes = {each["name"]: each for each in reversed(offer["attributes"])}
    assert attributes["rack"]["text"]["value"] == "r1" and attributes["size"]["scalar"]["value"] == 7, attributes
    assert offer["hostname"] and offer["allocation_info"]["role"] == "*", offer
    assert all(each["allocation_info"]["role"] == "*" for each in offer["resources"]), offer
    it.teardown()


@check("A59", "a framework without MULTI_ROLE sees no allocation")
def _(world):
    it = Scheduler(world.master, "plain", capabilities=[])
    offer = it.offer()
    assert "allocation_info" not in offer and not any("allocation_info" in each for each in offer["resources"]), offer
    it.teardown()


@check("A52", "a framework without RESERVATION_REFINEMENT sees `role`")
def _(world):
    it = Scheduler(world.master, "older", capabilities=["MULTI_ROLE"])
    offer = it.offer()
    assert all(each["role"] == "*" and "reservations" not in each for each in offer["resources"]), offer
    it.teardown()


@check("A52", "a framework with RESERVATION_REFINEMENT sees no `role`")
def _(world):
    it = Scheduler(world.master, "newer")
    offer = it.offer()
    assert not any("role" in each for each in offer["resources"]), offer
    it.teardown()


@check("C10", "a framework that suppresses is offered nothing until it revives")
def _(world):
    it = Scheduler(world.master, "quiet", subscribe={"suppressed_roles": ["*"]})
    loud = Scheduler(world.master, "loud")
    loud.decline([loud.offer()], 600)
    it.none("OFFERS")
    it.tell("REVIVE")
    offer = it.offer()
    it.tell("SUPPRESS")
    it.decline([offer], 0)
    loud.tell("REVIVE")
    loud.offer()
    it.none("OFFERS", lambda record: record["offers"]["offers"][0]["id"] != offer["id"])
    loud.teardown()
    it.teardown()


@check("C10", "REVIVE clears the filter of a declined offer")
def _(world):
    it = Scheduler(world.master, "revives")
    it.decline([it.offer()], 600)
    it.tell("REVIVE", roles=["*"])
    it.offer()
    it.teardown()


@check("C10", "one role that is not its own spoils a REVIVE, which is taken all the same")
def _(world):
    it = Scheduler(world.master, "revives", subscribe={"suppressed_roles": ["*"]})
    assert it.call("REVIVE", roles=["*", "foreign"]).status == 202
    assert it.call("SUPPRESS", roles=["foreign"]).status == 202
    it.teardown()


for WHAT, SECONDS in (("nought", 0), ("negative", -1), ("absurdly large", 1e18), ("absent", None)):
    def _declines(world, seconds=SECONDS):
        it = Scheduler(world.master, "declines")
        filters = {} if seconds is None else {"refuse_seconds": seconds}
        it.tell("DECLINE", offer_ids=[it.offer()["id"]], filters=filters)
        if seconds == 0:
            it.offer()
        it.teardown()

    check("C5", "refuse_seconds that is %s is taken" % WHAT)(_declines)


@check("C27", "DECLINE of an offer that nobody knows is taken")
def _(world):
    assert world.first.call("DECLINE", offer_ids=[{"value": "nobodys"}]).status == 202


@check("B9", "ACCEPT of nothing is a DECLINE")
def _(world):
    it = Scheduler(world.master, "empties")
    it.accept(it.offer(), [])
    it.offer()
    it.teardown()


# Offer constraints.


HOST = {"pseudoattribute_type": "HOSTNAME"}


def attribute(name):
    return {"attribute_name": name}


def constrained(*groups, role="*"):
    """Constraints of a role: groups of pairs of a selector and a predicate."""
    def constraint(pair):
        return {"selector": pair[0], "predicate": pair[1]}
    return {"role_constraints": {role: {"groups": [{"attribute_constraints": [constraint(it) for it in group]} for group in groups]}}}


def is_offered(world, constraints):
    """Whether the agent is offered to a framework that has these constraints."""
    it = Scheduler(world.master, "constrained", subscribe={"offer_constraints": constraints})
    # Whoever comes later and has none is offered what the first does not get; and what one has the other has not.
    witness = Scheduler(world.master, "witness")
    until("the agent is offered to one of them", lambda: it.held() or witness.held())
    offered = bool(it.held())
    it.teardown()
    witness.teardown()
    return offered


TEXTS = (("text_equals", "value", "r1", "r2"), ("text_matches", "regex", "r[0-9]", "r"))
for KIND, KEY, FITS, MISSES in TEXTS:
    def _text(world, kind=KIND, key=KEY, fits=FITS, misses=MISSES):
        negated = kind.replace("text_", "text_not_")
        for name, value, expected in (
            # The agent has rack:r1 and rack:r2, of which the first counts; `size` is a number, and `none` is not there.
            ("rack", fits, True), ("rack", misses, False), ("size", misses, True), ("none", fits, False),
        ):
            assert is_offered(world, constrained([(attribute(name), {kind: {key: value}})])) == expected, (kind, name, value)
        for name, value, expected in (("rack", fits, False), ("rack", misses, True), ("size", fits, True), ("none", fits, True)):
            assert is_offered(world, constrained([(attribute(name), {negated: {key: value}})])) == expected, (negated, name, value)

    check("C21 C22", "%s and its negation: a text, no text, nothing" % KIND)(_text)


@check("C21 C22", "exists and not_exists")
def _(world):
    for name, predicate, expected in (("rack", "exists", True), ("none", "exists", False), ("rack", "not_exists", False), ("none", "not_exists", True)):
        assert is_offered(world, constrained([(attribute(name), {predicate: {}})])) == expected, (name, predicate)


@check("C21", "all constraints of a group hold, or those of another one")
def _(world):
    fits, misses = (attribute("rack"), {"exists": {}}), (attribute("none"), {"exists": {}})
    assert not is_offered(world, constrained([fits, misses]))
    assert is_offered(world, constrained([fits, misses], [fits]))
    assert is_offered(world, constrained([(HOST, {"text_matches": {"regex": ".*"}}), ({"pseudoattribute_type": "ZONE"}, {"not_exists": {}})]))


@check("C21 D13", "UPDATE_FRAMEWORK sets constraints, and takes them away")
def _(world):
    it = Scheduler(world.master, "constrained", subscribe={"offer_constraints": constrained([(attribute("none"), {"exists": {}})])})
    info = dict(it.info, id={"value": it.id})
    shown = post(world.master, "/api/v1", {"type": "GET_FRAMEWORKS"}).json["get_frameworks"]["frameworks"]
    row = next(row for row in shown if row["framework_info"]["id"]["value"] == it.id)
    assert row["offer_constraints"] == constrained([(attribute("none"), {"exists": {}})]), row
    [page] = [each for each in get(world.master, "/frameworks").json["frameworks"] if each["id"] == it.id]
    assert page["offer_constraints"] == row["offer_constraints"], page
    it.tell("UPDATE_FRAMEWORK", framework_info=info)
    it.offer()
    it.teardown()


NOTHING = (
    ("no group", {"role_constraints": {"*": {"groups": []}}}, "groups"),
    ("an empty group", {"role_constraints": {"*": {"groups": [{}]}}}, "attribute_constraints"),
    ("a role that is not its own", constrained([(HOST, {"exists": {}})], role="foreign"), "foreign"),
    ("an expression that is none", constrained([(HOST, {"text_matches": {"regex": "("}})]), "regex"),
    ("an expression that costs too much", constrained([(HOST, {"text_matches": {"regex": "((a{100}){100}){100}"}})]), "regex"),
    ("nothing to look at", constrained([({}, {"exists": {}})]), "selector"),
)
for WHAT, CONSTRAINTS, FIELD in NOTHING:
    def _is_refused(world, constraints=CONSTRAINTS, field=FIELD):
        status, text = refused_subscription(world.master, framework_info("bad"), offer_constraints=constraints)
        assert status == 200 and field in text, (status, text)
        info = dict(world.first.info, id={"value": world.first.id})
        answer = world.first.call("UPDATE_FRAMEWORK", framework_info=info, offer_constraints=constraints, suppressed_roles=["*"])
        assert answer.status == 400 and field in answer.text, answer

    check("C21 C23 D8", "constraints with %s are refused" % WHAT)(_is_refused)


@check("C30", "REQUEST is taken and has no effect")
def _(world):
    answer = world.first.call("REQUEST", requests=[{"agent_id": {"value": world.agent_id}, "resources": [scalar("cpus", 1)]}])
    assert answer.status == 202, answer


@check("C25", "answers to inverse offers that nobody knows are taken")
def _(world):
    assert world.first.call("ACCEPT_INVERSE_OFFERS", inverse_offer_ids=[{"value": "x"}]).status == 202
    assert world.first.call("DECLINE_INVERSE_OFFERS", inverse_offer_ids=[{"value": "x"}]).status == 202


@check("C13 D14", "a role that is given up takes its offers with it")
def _(world):
    it = Scheduler(world.master, "gives-up", roles=["a", "b"], subscribe={"suppressed_roles": ["b"]})
    offer = it.offer()
    it.tell("UPDATE_FRAMEWORK", framework_info=dict(it.info, id={"value": it.id}, roles=["b"]), suppressed_roles=["b"])
    it.wait("RESCIND", lambda record: record["rescind"]["offer_id"] == offer["id"])
    it.teardown()


# Tasks.


@check(
    "I10 H42", "a command task starts, runs and finishes, and each status says who and where",
)
def _(world):
    it = Scheduler(world.master, "runs")
    offer = it.offer()
    name = world.name("ends")
    it.accept(offer, [launch(task(name, offer["agent_id"]))])
    starting = it.status(name, "TASK_STARTING")
    assert starting["source"] == "SOURCE_EXECUTOR" and starting["agent_id"]["value"] == world.agent_id, starting
    assert len(base64.b64decode(starting["uuid"])) == 16 and starting["timestamp"] > 1e9, starting
    running = it.status(name, "TASK_RUNNING")
    assert running["executor_id"]["value"] == name, running
    assert running["container_status"]["container_id"]["value"], running
    assert running["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"], running
    finished = it.status(name, "TASK_FINISHED")
    assert "reason" not in finished or finished["reason"], finished
    it.teardown()


@check("I10", "a command that fails is TASK_FAILED and says how it ended")
def _(world):
    it = Scheduler(world.master, "fails")
    offer = it.offer()
    name = world.name("fails")
    it.accept(offer, [launch(task(name, offer["agent_id"], command="exit 3"))])
    failed = it.status(name, "TASK_FAILED")
    assert failed["source"] == "SOURCE_EXECUTOR" and "3" in failed["message"], failed
    it.teardown()


@check("D31 I10", "a task that is killed is TASK_KILLING, then TASK_KILLED")
def _(world):
    it = Scheduler(world.master, "kills")
    offer = it.offer()
    name = world.name("killed")
    it.accept(offer, [launch(task(name, offer["agent_id"], command="sleep 1000"))])
    it.status(name, "TASK_RUNNING")
    it.tell("KILL", task_id={"value": name}, agent_id=offer["agent_id"])
    it.status(name, "TASK_KILLING")
    it.status(name, "TASK_KILLED")
    it.teardown()


@check("D29 F32", "a framework that does not know TASK_KILLING is not told it")
def _(world):
    it = Scheduler(world.master, "kills", capabilities=["MULTI_ROLE"])
    offer = it.offer()
    name = world.name("killed")
    it.accept(offer, [launch(task(name, offer["agent_id"], command="sleep 1000"))])
    it.status(name, "TASK_RUNNING")
    it.tell("KILL", task_id={"value": name})
    it.status(name, "TASK_KILLED")
    it.none("UPDATE", lambda record: record["update"]["status"]["state"] == "TASK_KILLING")
    it.teardown()


@check("D31 F36", "KILL of a task that nobody knows is answered as a question after it")
def _(world):
    world.first.tell("KILL", task_id={"value": "nobodys"})
    status = world.first.status("nobodys", acknowledge=False)
    assert status["state"] == "TASK_UNKNOWN" and status["reason"] == "REASON_RECONCILIATION", status


@check("F36", "a question after a task that nobody knows is TASK_UNKNOWN, from the master, without a uuid")
def _(world):
    name = world.name("asked")
    world.first.tell("RECONCILE", tasks=[{"task_id": {"value": name}}])
    status = world.first.status(name)
    assert status["state"] == "TASK_UNKNOWN" and status["source"] == "SOURCE_MASTER" and "uuid" not in status, status


@check("F36", "a question after a task of a registered agent that it does not know is TASK_GONE")
def _(world):
    name = world.name("asked")
    world.first.tell("RECONCILE", tasks=[{"task_id": {"value": name}, "agent_id": {"value": world.agent_id}}])
    status = world.first.status(name)
    assert status["state"] == "TASK_GONE" and status["reason"] == "REASON_RECONCILIATION", status


@check("F36", "a question after a task of an agent that nobody knows is TASK_UNKNOWN")
def _(world):
    name = world.name("asked")
    world.first.tell("RECONCILE", tasks=[{"task_id": {"value": name}, "agent_id": {"value": "no-agent"}}])
    assert world.first.status(name)["state"] == "TASK_UNKNOWN"


@check("F32 F36", "who is not partition aware is told TASK_LOST instead")
def _(world):
    it = Scheduler(world.master, "older", capabilities=["MULTI_ROLE"], subscribe={"suppressed_roles": ["*"]})
    name = world.name("asked")
    it.tell("RECONCILE", tasks=[{"task_id": {"value": name}}])
    assert it.status(name)["state"] == "TASK_LOST"
    it.teardown()


@check("F35 F36", "questions after all tasks and after one are answered with what is known")
def _(world):
    it = Scheduler(world.master, "asks")
    offer = it.offer()
    name = world.name("lives")
    it.accept(offer, [launch(task(name, offer["agent_id"], command="sleep 1000"))])
    it.status(name, "TASK_RUNNING")
    it.stream.mark()
    it.tell("RECONCILE", tasks=[])
    status = it.status(name)
    assert status["state"] == "TASK_RUNNING" and status["reason"] == "REASON_RECONCILIATION" and "uuid" not in status, status
    it.stream.mark()
    it.tell("RECONCILE", tasks=[{"task_id": {"value": name}, "agent_id": {"value": ""}}])
    assert it.status(name)["state"] == "TASK_RUNNING"
    it.teardown()


@check("D34 B69", "a status that is not acknowledged is known as the latest state, a task that ended and was acknowledged is completed")
def _(world):
    it = Scheduler(world.master, "acks")
    offer = it.offer()
    name = world.name("acked")
    it.accept(offer, [launch(task(name, offer["agent_id"]))])
    it.status(name, "TASK_FINISHED")

    def completed():
        tasks = world.operator("GET_TASKS").json["get_tasks"].get("completed_tasks", [])
        return [each for each in tasks if each["task_id"]["value"] == name]
    seen = until("it is completed", completed)[0]
    assert seen["state"] == "TASK_FINISHED", seen
    assert [each["state"] for each in seen["statuses"]] == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"], seen
    it.stream.mark()
    it.tell("RECONCILE", tasks=[{"task_id": {"value": name}, "agent_id": offer["agent_id"]}])
    assert it.status(name)["state"] == "TASK_GONE"
    it.teardown()


@check("H42", "a task shows its user, its limits, its kill policy and each state that it was in; by a command, it has no executor")
def _(world):
    it = Scheduler(world.master, "described")
    offer = it.offer()
    name = world.name("described")
    described = task(name, offer["agent_id"])
    described["command"]["user"] = "root"
    described["kill_policy"] = {"grace_period": {"nanoseconds": 2000000000}}
    described["limits"] = {"mem": {"value": 4096}}
    it.accept(offer, [launch(described)])
    it.status(name, "TASK_FINISHED")
    of_v1 = lambda: [each for each in world.operator("GET_TASKS").json["get_tasks"].get("completed_tasks", []) if each["task_id"]["value"] == name]
    seen = until("it is completed", of_v1)[0]
    assert seen["user"] == "root" and seen["kill_policy"] == described["kill_policy"], seen
    assert seen["limits"]["mem"]["value"] == 4096 and "executor_id" not in seen, seen
    [page] = get(world.master, "/tasks?task_id=" + name).json["tasks"]
    assert [each["state"] for each in page["statuses"]] == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"], page
    times = [each["timestamp"] for each in page["statuses"]]
    assert times == sorted(times) and page["executor_id"] == "" and page["user"] == "root", page
    it.teardown()


@check("D34", "ACKNOWLEDGE with a uuid that is none is 400")
def _(world):
    answer = world.first.call(
        "ACKNOWLEDGE", agent_id={"value": world.agent_id}, task_id={"value": "x"}, uuid=base64.b64encode(b"short").decode()
    )
    assert answer.status == 400 and "uuid" in answer.text.lower(), answer


@check("D34", "ACKNOWLEDGE of what nobody knows is taken")
def _(world):
    uuid = base64.b64encode(b"0123456789abcdef").decode()
    assert world.first.call("ACKNOWLEDGE", agent_id={"value": "no-agent"}, task_id={"value": "x"}, uuid=uuid).status == 202


def refused_task(what, facts, word, make, reason="REASON_TASK_INVALID"):
    def body(world):
        it = Scheduler(world.master, "invalid")
        offer = it.offer()
        info = make(world, offer)
        it.accept(offer, [launch(info)])
        status = it.status(info["task_id"]["value"])
        assert status["state"] == "TASK_ERROR" and status["reason"] == reason and status["source"] == "SOURCE_MASTER", status
        assert word in status["message"].lower() and "uuid" not in status, status
        it.teardown()

    check(facts, "a task with %s is TASK_ERROR" % what)(body)


PLAIN = [scalar("cpus", 0.1), scalar("mem", 32)]
refused_task("no resources", "B49", "resources", lambda world, offer: task(world.name("t"), offer["agent_id"], []))
refused_task("a name with a slash", "B48 A47", "task", lambda world, offer: dict(task("a/b", offer["agent_id"])))
refused_task("another agent", "B48", "agent", lambda world, offer: task(world.name("t"), {"value": "another"}))
refused_task("more than is offered", "B49", "", lambda world, offer: task(world.name("t"), offer["agent_id"], [scalar("cpus", 1000), scalar("mem", 32)]))
refused_task("neither command nor executor", "B48", "command", lambda world, offer: task(world.name("t"), offer["agent_id"], command=None))
refused_task(
    "command and executor", "B48", "executor",
    lambda world, offer: task(world.name("t"), offer["agent_id"], executor={"executor_id": {"value": "e"}, "command": {"value": "true"}}),
)
refused_task(
    "a negative kill policy", "B48", "kill",
    lambda world, offer: task(world.name("t"), offer["agent_id"], kill_policy={"grace_period": {"nanoseconds": -1}}),
)
refused_task(
    "a negative time to complete", "B48", "max_completion_time",
    lambda world, offer: task(world.name("t"), offer["agent_id"], max_completion_time={"nanoseconds": -1}),
)
refused_task(
    "a health check without its part", "B48", "health",
    lambda world, offer: task(world.name("t"), offer["agent_id"], health_check={"type": "HTTP"}),
)
refused_task(
    "a check without its part", "B48", "check",
    lambda world, offer: task(world.name("t"), offer["agent_id"], check={"type": "COMMAND"}),
)
refused_task(
    "a negative amount", "A3", "", lambda world, offer: task(world.name("t"), offer["agent_id"], [scalar("cpus", -1), scalar("mem", 32)]),
)
refused_task(
    "a limit below its request", "B54", "limit",
    lambda world, offer: task(world.name("t"), offer["agent_id"], limits={"mem": {"value": 1}}),
)
refused_task(
    "a limit of disk", "B54", "limit",
    lambda world, offer: task(world.name("t"), offer["agent_id"], limits={"disk": {"value": 1000}}),
)
refused_task(
    "an executor of another framework", "B48", "framework",
    lambda world, offer: task(
        world.name("t"), offer["agent_id"], command=None,
        executor={"executor_id": {"value": "e"}, "framework_id": {"value": "other"}, "command": {"value": "true"}},
    ),
)
refused_task(
    "a fraction of a gpu", "A6", "gpu",
    lambda world, offer: task(world.name("t"), offer["agent_id"], PLAIN + [scalar("gpus", 0.5)]),
)


@check("B14", "LAUNCH with an operation id is TASK_ERROR")
def _(world):
    it = Scheduler(world.master, "named")
    offer = it.offer()
    name = world.name("t")
    it.accept(offer, [launch(task(name, offer["agent_id"]), id={"value": "x"})])
    assert it.status(name)["state"] == "TASK_ERROR"
    it.teardown()


@check("B47", "a bad task does not spoil the others")
def _(world):
    it = Scheduler(world.master, "mixed")
    offer = it.offer()
    bad, good = world.name("bad"), world.name("good")
    it.accept(offer, [launch(task(bad, offer["agent_id"], []), task(good, offer["agent_id"]))])
    it.status(bad, "TASK_ERROR")
    it.status(good, "TASK_FINISHED")
    it.teardown()


@check("B48", "a task of a name that lives is not started")
def _(world):
    it = Scheduler(world.master, "twice")
    offer = it.offer()
    name = world.name("twice")
    it.accept(offer, [launch(task(name, offer["agent_id"], command="sleep 1000"))])
    it.status(name, "TASK_RUNNING")
    offer = it.offer()
    it.accept(offer, [launch(task(name, offer["agent_id"], command="sleep 1000"))])
    it.stream.mark()
    it.tell("RECONCILE", tasks=[])
    it.status(name, "TASK_RUNNING")
    it.teardown()


def group(world, offer, *tasks, kind="DEFAULT", resources=None, **executor):
    resources = resources if resources is not None else [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 10)]
    info = dict({"type": kind, "executor_id": {"value": world.name("e")}, "resources": resources}, **executor)
    info = {name: value for name, value in info.items() if value is not None}
    return {"type": "LAUNCH_GROUP", "launch_group": {"executor": info, "task_group": {"tasks": list(tasks)}}}


@check("I12 B57", "a group runs as one, and each of its tasks finishes")
def _(world):
    it = Scheduler(world.master, "groups")
    offer = it.offer()
    names = [world.name("g"), world.name("g")]
    it.accept(offer, [group(world, offer, *[task(name, offer["agent_id"]) for name in names])])
    for name in names:
        it.status(name, "TASK_RUNNING")
        it.stream.at = 0
    for name in names:
        it.status(name, "TASK_FINISHED")
        it.stream.at = 0
    it.teardown()


@check("B56", "one bad task spoils its group")
def _(world):
    it = Scheduler(world.master, "groups")
    offer = it.offer()
    bad, good = world.name("g"), world.name("g")
    it.accept(offer, [group(world, offer, task(bad, offer["agent_id"], []), task(good, offer["agent_id"]))])
    for name in (bad, good):
        status = it.status(name)
        assert status["state"] == "TASK_ERROR" and status["reason"] == "REASON_TASK_GROUP_INVALID", status
        it.stream.at = 0
    it.teardown()


def refused_group(what, word, make):
    def body(world):
        it = Scheduler(world.master, "groups")
        offer = it.offer()
        name = world.name("g")
        it.accept(offer, [make(world, offer, name)])
        status = it.status(name)
        assert status["state"] == "TASK_ERROR" and status["reason"] == "REASON_TASK_GROUP_INVALID", status
        assert word in status["message"].lower(), status
        it.teardown()

    check("B57", "a group %s is TASK_ERROR" % what)(body)


refused_group("without a type of executor", "type", lambda world, offer, name: group(world, offer, task(name, offer["agent_id"]), kind=None))
refused_group(
    "whose default executor has a command", "command",
    lambda world, offer, name: group(world, offer, task(name, offer["agent_id"]), command={"value": "true"}),
)
refused_group(
    "whose custom executor has no command", "command", lambda world, offer, name: group(world, offer, task(name, offer["agent_id"]), kind="CUSTOM"),
)
refused_group(
    "whose executor has no disk", "disk",
    lambda world, offer, name: group(world, offer, task(name, offer["agent_id"]), resources=[scalar("cpus", 0.1), scalar("mem", 32)]),
)
refused_group(
    "whose executor has too little memory", "mem",
    lambda world, offer, name: group(world, offer, task(name, offer["agent_id"]), resources=[scalar("cpus", 0.1), scalar("mem", 1), scalar("disk", 1)]),
)
refused_group(
    "whose executor has too little cpu", "cpu",
    lambda world, offer, name: group(world, offer, task(name, offer["agent_id"]), resources=[scalar("cpus", 0.001), scalar("mem", 32), scalar("disk", 1)]),
)


def refused_accept(what, facts, offers_of):
    def body(world):
        it = Scheduler(world.master, "bad-offers")
        offer = it.offer()
        name = world.name("t")
        ids = offers_of(world, it, offer)
        reserve = operation("RESERVE", "op", resources=[scalar("cpus", 1, reservations=reservations("x"))])
        it.tell("ACCEPT", offer_ids=ids, operations=[launch(task(name, offer["agent_id"])), reserve])
        status = it.status(name)
        assert status["state"] == "TASK_DROPPED" and status["reason"] == "REASON_INVALID_OFFERS", status
        assert status["source"] == "SOURCE_MASTER" and "uuid" not in status, status
        it.stream.at = 0
        status = it.operation("op")
        assert status["state"] == "OPERATION_ERROR" and "uuid" not in status and "agent_id" not in status, status
        it.teardown()

    check(facts, "ACCEPT of %s drops its tasks and refuses its operations" % what)(body)


refused_accept("no offer", "B1 B17", lambda world, it, offer: [])
refused_accept("an offer that nobody knows", "B1 B17", lambda world, it, offer: [{"value": "nobodys"}])
refused_accept("an offer twice", "B1 B17", lambda world, it, offer: [offer["id"], offer["id"]])


@check("B1", "who is not partition aware is told TASK_LOST")
def _(world):
    it = Scheduler(world.master, "bad-offers", capabilities=["MULTI_ROLE"], subscribe={"suppressed_roles": ["*"]})
    name = world.name("t")
    it.tell("ACCEPT", offer_ids=[{"value": "nobodys"}], operations=[launch(task(name, {"value": world.agent_id}))])
    status = it.status(name)
    assert status["state"] == "TASK_LOST" and status["reason"] == "REASON_INVALID_OFFERS", status
    it.teardown()


@check("B1", "an offer beside a bad one is used up as well")
def _(world):
    it = Scheduler(world.master, "bad-offers")
    offer = it.offer()
    it.tell("ACCEPT", offer_ids=[offer["id"], {"value": "nobodys"}], operations=[], filters={"refuse_seconds": 0})
    again = it.offer()
    assert again["id"] != offer["id"]
    it.teardown()


@check("H42 C28", "offers of a framework are counted as its own and shown")
def _(world):
    it = Scheduler(world.master, "counted")
    offer = it.offer()
    seen = world.framework(it.id)
    assert [each["id"] for each in seen["offers"]] == [offer["id"]], seen
    assert amount(seen["offered_resources"], "cpus") == amount(offer["resources"], "cpus"), seen
    it.teardown()


@check("D32 H22", "SHUTDOWN ends an executor, and FAILURE tells its framework")
def _(world):
    it = Scheduler(world.master, "shuts")
    offer = it.offer()
    name = world.name("t")
    executor = {
        "executor_id": {"value": world.name("e")}, "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
        "command": {"shell": True, "value": "sleep 1000"},
    }
    it.accept(offer, [launch(task(name, offer["agent_id"], command=None, executor=executor))])

    def runs():
        seen = world.operator("GET_EXECUTORS").json["get_executors"].get("executors", [])
        return [each for each in seen if each["executor_info"]["executor_id"] == executor["executor_id"]]
    until("the executor is known", runs)
    it.tell("SHUTDOWN", executor_id=executor["executor_id"], agent_id=offer["agent_id"])
    failure = it.wait("FAILURE")["failure"]
    assert failure["executor_id"] == executor["executor_id"] and failure["agent_id"] == offer["agent_id"] and "status" in failure, failure
    it.stream.at = 0
    assert it.status(name, "TASK_FAILED", "TASK_LOST", "TASK_GONE", "TASK_KILLED")["state"]
    it.teardown()


@check("A1 H14", "fractions are counted in thousandths")
def _(world):
    it = Scheduler(world.master, "fractions")
    offer = it.offer()
    total = amount(offer["resources"], "cpus", is_plain)
    name = world.name("t")
    it.accept(offer, [launch(task(name, offer["agent_id"], [scalar("cpus", 0.1), scalar("cpus", 0.2), scalar("mem", 32)], "sleep 1000"))])
    it.status(name, "TASK_RUNNING")
    rest = amount(it.offer(lambda each: amount(each["resources"], "cpus") < total)["resources"], "cpus")
    assert math.isclose(rest, round(total - 0.3, 3), abs_tol=1e-9), (total, rest)
    it.teardown()


if __name__ == "__main__":
    run(World())
