"""The v1 API as bytes on a socket, for checks that no client library stands in the way of.

Relies on Python's standard library alone. Never mends what it is sent: what is malformed is a failed check.
"""

import json
import os
import re
import socket
import threading
import time
import traceback
from urllib.parse import urlencode

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
# How long anything may take, in seconds; less makes failures quick where one works on them.
PATIENCE = float(os.environ.get("HOLDFAST_PATIENCE", "30"))


class Answer:
    """One HTTP answer, whole."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %r" % (self.status, self.body[:400])


class Wire:
    """One connection."""

    def __init__(self, address, within=20.0):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=within)
        self.address = address
        self.file = self.socket.makefile("rb")

    def send(self, method, path, headers, body=b""):
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: %s" % self.address]
        lines += ["%s: %s" % pair for pair in headers.items() if pair[1] is not None]
        if (body or method in ("POST", "PUT")) and "Transfer-Encoding" not in headers:
            lines.append("Content-Length: %d" % len(body))
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode() + body)

    def head(self):
        first = self.file.readline().decode()
        assert first.startswith("HTTP/1.1 "), "no answer but %r" % first
        headers = {}
        while True:
            line = self.file.readline().decode().strip()
            if not line:
                return int(first.split(" ")[1]), headers
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()

    def chunk(self):
        """The next chunk of a chunked body, or None at its end."""
        line = self.file.readline()
        if not line:
            return None
        size = int(line.split(b";")[0], 16)
        data = self.file.read(size)
        self.file.readline()
        return data if size else None

    def answer(self, method="POST"):
        status, headers = self.head()
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self.chunk, None))
        else:
            length = int(headers.get("content-length", "0"))
            body = b"" if method == "HEAD" else self.file.read(length)
        return Answer(status, headers, body)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.file.close()
        self.socket.close()


def ask(address, method, path, headers=None, body=b"", within=20.0):
    """One request on a connection of its own."""
    wire = Wire(address, within)
    try:
        wire.send(method, path, dict(headers or {}), body)
        return wire.answer(method)
    finally:
        wire.close()


def get(address, path, **headers):
    return ask(address, "GET", path, {name.replace("_", "-"): value for name, value in headers.items()})


def post(address, path, value, **headers):
    """Posts a value as JSON; headers by name, None leaves one out."""
    given = {"Content-Type": JSON, "Accept": JSON}
    given.update({name.replace("_", "-"): text for name, text in headers.items()})
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return ask(address, "POST", path, given, body)


def form(address, path, **fields):
    """Posts a form."""
    return ask(address, "POST", path, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(fields).encode())


class Stream:
    """A stream of records that stays open, read by a thread of its own."""

    def __init__(self, address, path, value, **headers):
        given = {"Content-Type": JSON, "Accept": JSON}
        given.update({name.replace("_", "-"): text for name, text in headers.items()})
        self.wire = Wire(address)
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.wire.send("POST", path, given, body)
        self.status, self.headers = self.wire.head()
        self.condition = threading.Condition()
        self.records, self.chunks, self.ended, self.at = [], [], False, 0
        self.refusal = None
        if self.status != 200 or self.headers.get("transfer-encoding") != "chunked":
            length = int(self.headers.get("content-length", "0"))
            self.refusal = Answer(self.status, self.headers, self.wire.file.read(length))
            self.wire.close()
            self.ended = True
            return
        self.wire.socket.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        try:
            while True:
                chunk = self.wire.chunk()
                if chunk is None:
                    break
                rest += chunk
                with self.condition:
                    self.chunks.append(chunk)
                rest = self._split(rest)
        except (OSError, ValueError, AttributeError):
            pass
        with self.condition:
            self.ended = True
            self.condition.notify_all()

    def _split(self, rest):
        while b"\n" in rest:
            size, after = rest.split(b"\n", 1)
            if len(after) < int(size):
                break
            record, rest = after[: int(size)], after[int(size):]
            with self.condition:
                self.records.append(json.loads(record) if self.headers.get("content-type") == JSON else record)
                self.condition.notify_all()
        return rest

    def wait(self, what, is_it, within=PATIENCE, since=None):
        """The first record that is looked for, from the mark on."""
        at = self.at if since is None else since
        end = time.monotonic() + within
        with self.condition:
            while True:
                while at < len(self.records):
                    record = self.records[at]
                    at += 1
                    if is_it(record):
                        return record
                left = end - time.monotonic()
                if left <= 0 or self.ended:
                    told = [json.dumps(it)[:300] if isinstance(it, dict) else it for it in self.records[self.at:]][-6:]
                    raise AssertionError("%s: not within %g s (ended: %s); told: %s" % (what, within, self.ended, told))
                self.condition.wait(left)

    def mark(self):
        with self.condition:
            self.at = len(self.records)

    def end(self, within=10.0):
        """Waits until the other side closes."""
        with self.condition:
            assert self.condition.wait_for(lambda: self.ended, within), "the stream is still open"

    def close(self):
        self.wire.close()


SCHEDULER = "/api/v1/scheduler"
LIVING = []
NEWEST = ["MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE", "TASK_KILLING_STATE"]


def framework_info(name, roles=("*",), capabilities=NEWEST, **more):
    info = {"user": "root", "name": name, "failover_timeout": 600.0, "checkpoint": True}
    if "MULTI_ROLE" in capabilities:
        info["roles"] = list(roles)
    else:
        info["role"] = roles[0]
    info["capabilities"] = [{"type": it} for it in capabilities]
    info.update(more)
    return {name: value for name, value in info.items() if value is not None}


class Scheduler:
    """A framework that is subscribed, and what it is told."""

    def __init__(self, master, name, roles=("*",), capabilities=NEWEST, framework_id=None, subscribe=None, **more):
        self.master = master
        self.info = framework_info(name, roles, capabilities, **more)
        call = {"type": "SUBSCRIBE", "subscribe": dict({"framework_info": self.info}, **(subscribe or {}))}
        if framework_id:
            self.info["id"] = {"value": framework_id}
            call["framework_id"] = {"value": framework_id}
        self.stream = Stream(master, SCHEDULER, call)
        assert self.stream.status == 200, self.stream.refusal
        first = self.stream.wait("SUBSCRIBED or ERROR", lambda it: it["type"] in ("SUBSCRIBED", "ERROR"))
        assert first["type"] == "SUBSCRIBED", first
        self.subscribed = first["subscribed"]
        self.id = self.subscribed["framework_id"]["value"]
        self.stream_id = self.stream.headers["mesos-stream-id"]
        self.used = set()
        LIVING.append(self)

    def call(self, kind, **body):
        call = {"type": kind, "framework_id": {"value": self.id}}
        if body:
            call[kind.lower()] = body
        return post(self.master, SCHEDULER, call, Mesos_Stream_Id=self.stream_id)

    def tell(self, kind, **body):
        """A call that must be taken."""
        answer = self.call(kind, **body)
        assert answer.status == (200 if kind == "UPDATE_FRAMEWORK" else 202), answer
        return answer

    def offer(self, is_it=lambda offer: True, within=PATIENCE):
        """An offer that is looked for and still stands; others are declined without a filter."""
        end = time.monotonic() + within
        while True:
            held = self.held()
            for offer in held:
                if is_it(offer):
                    self.used.add(offer["id"]["value"])
                    return offer
            if held:
                self.decline(held, 0)
            with self.stream.condition:
                seen = len(self.stream.records)
                left = end - time.monotonic()
                assert left > 0 and not self.stream.ended, "no such offer; the last were %s" % json.dumps(held)[:800]
                self.stream.condition.wait_for(lambda: len(self.stream.records) > seen, min(left, 1.0))

    def held(self):
        """The offers that stand."""
        held = {}
        with self.stream.condition:
            for record in self.stream.records:
                if record["type"] == "OFFERS":
                    held.update({it["id"]["value"]: it for it in record["offers"]["offers"]})
                elif record["type"] == "RESCIND":
                    held.pop(record["rescind"]["offer_id"]["value"], None)
        return [offer for name, offer in held.items() if name not in self.used]

    def was_crossed(self):
        """Whether an offer was rescinded while it was being answered, as may happen at any time (C15): then a check must begin anew."""
        with self.stream.condition:
            gone = {it["rescind"]["offer_id"]["value"] for it in self.stream.records if isinstance(it, dict) and it["type"] == "RESCIND"}
        return bool(gone & self.used)

    def decline(self, offers, refuse_seconds):
        self.used.update(it["id"]["value"] for it in offers)
        return self.tell("DECLINE", offer_ids=[it["id"] for it in offers], filters={"refuse_seconds": refuse_seconds})

    def accept(self, offers, operations, refuse_seconds=0):
        offers = offers if isinstance(offers, list) else [offers]
        self.used.update(it["id"]["value"] for it in offers)
        return self.tell("ACCEPT", offer_ids=[it["id"] for it in offers], operations=operations, filters={"refuse_seconds": refuse_seconds})

    def status(self, task, *states, within=PATIENCE, acknowledge=True, is_it=lambda status: True):
        """Waits for a status of a task, and acknowledges all that come before it."""
        seen = set()

        def found(record):
            status = record.get("update", {}).get("status", {})
            if status.get("task_id", {}).get("value") != task:
                return False
            if acknowledge and status.get("uuid") and status["uuid"] not in seen:
                seen.add(status["uuid"])
                self.acknowledge(status)
            return (not states or status["state"] in states) and is_it(status)

        return self.stream.wait("%s of %s" % ("/".join(states), task), found, within)["update"]["status"]

    def acknowledge(self, status):
        return self.tell("ACKNOWLEDGE", agent_id=status["agent_id"], task_id=status["task_id"], uuid=status["uuid"])

    def operation(self, name, *states, within=PATIENCE):
        def found(record):
            status = record.get("update_operation_status", {}).get("status", {})
            return status.get("operation_id", {}).get("value") == name and (not states or status["state"] in states)
        return self.stream.wait("%s of operation %s" % ("/".join(states), name), found, within)["update_operation_status"]["status"]

    def acknowledge_operation(self, status):
        return self.tell(
            "ACKNOWLEDGE_OPERATION_STATUS", agent_id=status["agent_id"], uuid=status["uuid"]["value"], operation_id=status["operation_id"]
        )

    def wait(self, kind, is_it=lambda record: True, within=PATIENCE):
        return self.stream.wait(kind, lambda it: it["type"] == kind and is_it(it), within)

    def none(self, kind, is_it=lambda record: True):
        """Asserts that nothing of a kind has been told since the mark, once the master has told all it had to: an answered question is a barrier."""
        with self.stream.condition:
            found = [it for it in self.stream.records[self.stream.at:] if it["type"] == kind and is_it(it)]
        assert not found, found

    def teardown(self):
        if self in LIVING:
            LIVING.remove(self)
        answer = self.call("TEARDOWN")
        self.stream.close()
        return answer


def refused_subscription(master, info, framework_id=None, **subscribe):
    """What a SUBSCRIBE that must not succeed is answered: an HTTP status and words, of an ERROR event where that is what comes."""
    call = {"type": "SUBSCRIBE", "subscribe": dict({"framework_info": info}, **subscribe)}
    if framework_id:
        call["framework_id"] = {"value": framework_id}
    stream = Stream(master, SCHEDULER, call)
    try:
        if stream.refusal is not None:
            return stream.refusal.status, stream.refusal.text
        first = stream.wait("the first event", lambda it: True)
        assert first["type"] == "ERROR", first
        stream.end()
        return 200, first["error"]["message"]
    finally:
        stream.close()


def scalar(name, value, **more):
    return dict({"name": name, "type": "SCALAR", "scalar": {"value": value}}, **more)


def amount(resources, name, is_it=lambda it: True):
    return sum(it["scalar"]["value"] for it in resources if it["name"] == name and "scalar" in it and is_it(it))


def is_plain(resource):
    return not resource.get("reservations") and not resource.get("disk")


def reservations(role, principal=None, **more):
    entry = dict({"type": "DYNAMIC", "role": role}, **more)
    if principal:
        entry["principal"] = principal
    return [entry]


def volume(resource, name, container_path="data", **more):
    disk = {"persistence": dict({"id": name}, **more), "volume": {"container_path": container_path, "mode": "RW"}}
    return dict(resource, disk=disk)


def task(name, agent, resources=None, command="true", **more):
    resources = resources if resources is not None else [scalar("cpus", 0.1), scalar("mem", 32)]
    info = {"name": name, "task_id": {"value": name}, "agent_id": agent, "resources": resources}
    if command is not None:
        info["command"] = {"shell": True, "value": command}
    info.update(more)
    return info


def launch(*tasks, **more):
    return dict({"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}, **more)


def operation(kind, name=None, **body):
    it = {"type": kind, kind.lower(): body}
    if name:
        it["id"] = {"value": name}
    return it


def protobuf(*fields):
    """A message of fields (number, value): text and bytes as such, numbers as varints."""
    def varint(number):
        out = bytearray()
        while True:
            out.append((number & 0x7F) | (0x80 if number > 0x7F else 0))
            number >>= 7
            if not number:
                return bytes(out)

    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def _end_others(kept):
    """No check sits on offers that the next one waits for."""
    for it in [it for it in LIVING if it not in kept]:
        LIVING.remove(it)
        it.stream.close()
        post(it.master, "/api/v1", {"type": "TEARDOWN", "teardown": {"framework_id": {"value": it.id}}})


CHECKS = []


def check(facts, what, differs=None):
    """One check, which proves these facts of the catalogue of Mesos's behaviour.

    Where Holdfast is known not to do it, `differs` says what it does instead. Such a check must fail: once it passes, the words are wrong.
    """
    def keep(body):
        CHECKS.append((facts, what, body, differs))
        return body
    return keep


def _fault(body, world):
    """What is wrong with a check, or None."""
    try:
        body(world)
    except Exception:  # pylint: disable=broad-except
        return traceback.format_exc(limit=-3)
    return None


def run(world):
    """Runs all checks of a script in order; ends the script with 1 when any fails, or passes that is known to fail."""
    only = os.environ.get("HOLDFAST_ONLY_CHECKS")
    chosen = [it for it in CHECKS if not only or re.search(only, "%s %s" % it[:2])]
    began, failed, different, kept = time.monotonic(), 0, 0, list(LIVING)
    for facts, what, body, differs in chosen:
        at, why = time.monotonic(), None
        for _ in range(3):
            why = _fault(body, world)
            crossed = any(it.was_crossed() for it in LIVING)
            _end_others(kept)
            if not why or not crossed:
                break
        if differs and not why:
            why = "it holds, though it is written down as different: %s" % differs
        elif differs:
            different += 1
            print("differs   %-12s %s: %s" % (facts, what, differs), flush=True)
            continue
        if why:
            failed += 1
            print("FAILED    %-12s %s\n%s" % (facts, what, why), flush=True)
        else:
            print("%6.2f s  %-12s %s" % (time.monotonic() - at, facts, what), flush=True)
    took = time.monotonic() - began
    print("%d checks: %d hold, %d differ and are known to, %d failed; %.1f s" % (
        len(chosen), len(chosen) - different - failed, different, failed, took), flush=True)
    if failed:
        raise SystemExit(1)
