#!/usr/bin/env python3
"""A virtual network function's side of docs/offload-binding.md, written from it and yang/ alone.

usage: offload_client.py SOCKET FLOW.json

Opens a session, offloads the flow, waits until it is active, tears the session in the middle of a chunk,
resynchronises in a new session, withdraws the flow. Prints one JSON object for each step.
Standard library only. Section numbers are those of the document.
"""
import json
import secrets
import socket
import sys
import time
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
OFFLOAD = "urn:flowlift:offload"
BINDING = "urn:flowlift:offload-binding"
CAPABILITIES = (
    "urn:ietf:params:netconf:base:1.1",
    "urn:flowlift:offload?module=flowlift-offload&revision=2026-11-21",
)
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
CHUNK_BYTES_MAX = 1024 * 1024
RETRY_MIN_S, RETRY_MAX_S = 1.0, 8.0
ANSWER_S = 10.0


class Framing:
    """Section 4: markers and chunked messages out of a stream that may start anywhere."""

    def __init__(self):
        self.buffer = b""
        self.synchronised = False
        self.message = b""

    def push(self, data):
        """Yields ("marker", id), ("message", bytes) and ("violation", None)."""
        self.buffer += data
        while self.buffer:
            marker = self.buffer.find(b"\xff")
            if marker == 0:
                second = self.buffer.find(b"\xff", 1, 18)
                if second > 0:  # A marker inside a marker: the newer one counts.
                    self.buffer = self.buffer[second:]
                    continue
                if len(self.buffer) < 18:
                    return
                digits, self.message = self.buffer[1:17], b""
                good = all(c in b"0123456789abcdef" for c in digits) and self.buffer[17] == 10
                self.buffer = self.buffer[18:] if good else self.buffer[1:]
                self.synchronised = good
                yield ("marker", digits.decode()) if good else ("violation", None)
            elif not self.synchronised:
                self.buffer = self.buffer[marker:] if marker > 0 else b""
            else:
                limit = marker if marker > 0 else len(self.buffer)
                item, used = self.take_chunk(self.buffer[:limit])
                if item == "more":
                    if marker < 0:
                        return
                    self.buffer = self.buffer[marker:]  # Torn: forgotten at the marker.
                    continue
                self.buffer = self.buffer[used:]
                if item == "violation":
                    self.synchronised, self.message = False, b""
                    yield ("violation", None)
                elif item == "end":
                    message, self.message = self.message, b""
                    yield ("message", message)

    def take_chunk(self, data):
        """Returns what stands at the start of data, and how many bytes it has."""
        if not data.startswith(b"\n#"[: len(data)]):
            return "violation", 0
        end = data.find(b"\n", 2)
        if end < 0:
            return ("more", 0) if len(data) < 14 else ("violation", 0)
        head = data[2:end]
        if head == b"#":
            return ("end", end + 1) if self.message else ("violation", 0)
        if not head.isdigit() or head.startswith(b"0") or int(head) > CHUNK_BYTES_MAX:
            return "violation", 0
        size = int(head)
        if len(self.message) + size > MESSAGE_BYTES_MAX:
            return "violation", 0
        if len(data) < end + 1 + size:
            return "more", 0
        self.message += data[end + 1 : end + 1 + size]
        return "chunk", end + 1 + size


class Client:
    """Sections 5 to 8."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.framing = Framing()
        self.own = self.peer = None
        self.open = self.expect_hello = False
        self.retry_s = RETRY_MIN_S
        self.retry_at = None
        self.next_id = 1
        self.replies, self.events, self.seen = {}, [], 0
        self.credit = None
        self.sessions = 0

    # Section 5: sessions.

    def announce(self):
        self.own, self.open, self.expect_hello = secrets.token_hex(8), False, False
        self.retry_at = time.monotonic() + self.retry_s
        self.greet()

    def greet(self):
        self.socket.sendall(b"\xff" + self.own.encode() + b"\n")
        if self.peer is not None:
            capabilities = "".join(f"<capability>{escape(c)}</capability>" for c in CAPABILITIES)
            self.send(
                f'<hello xmlns="{NC}"><capabilities>{capabilities}</capabilities>'
                f'<session xmlns="{BINDING}" own="{self.own}" echo="{self.peer}"/></hello>'
            )

    def start(self):
        self.peer, self.retry_s = None, RETRY_MIN_S
        self.announce()

    def take(self, kind, value):
        if kind == "violation":
            if self.open:
                self.announce()
        elif kind == "marker":
            if value != self.peer:
                self.peer = value
                if self.open:
                    self.announce()
                else:
                    self.greet()
            self.expect_hello = True
        elif self.expect_hello:
            self.expect_hello = False
            if not self.open:
                self.take_hello(value)
        elif self.open:
            self.take_message(ET.fromstring(value))

    def take_hello(self, message):
        root = ET.fromstring(message)
        session = root.find(f"{{{BINDING}}}session")
        offered = [c.text.split("?")[0] for c in root.iter(f"{{{NC}}}capability")]
        if root.tag != f"{{{NC}}}hello" or session is None:
            return
        if not all(c.split("?")[0] in offered for c in CAPABILITIES):
            return
        if (session.get("own"), session.get("echo")) == (self.peer, self.own):
            self.open, self.retry_at, self.retry_s = True, None, RETRY_MIN_S
            self.credit = None
            self.sessions += 1

    # Section 7: messages.

    def take_message(self, root):
        if root.tag == f"{{{NC}}}rpc-reply":
            self.replies[root.get("message-id")] = root
            return
        for notification in root:
            local = notification.tag.split("}")[1]
            if local == "credit":
                self.credit = int(notification.findtext(f"{{{OFFLOAD}}}flows"))
            elif local == "flow-events":
                for event in notification:
                    fields = plain(event)
                    if int(fields["sequence"]) > self.seen:  # Section 8: repeated after a reconnect.
                        self.seen = int(fields["sequence"])
                        self.events.append(fields)

    def send(self, text):
        data = text.encode()
        for at in range(0, len(data), CHUNK_BYTES_MAX):
            part = data[at : at + CHUNK_BYTES_MAX]
            self.socket.sendall(b"\n#%d\n" % len(part) + part)
        self.socket.sendall(b"\n##\n")

    def wait(self, condition, what):
        """Reads until the condition holds."""
        end = time.monotonic() + ANSWER_S
        while not condition():
            now = time.monotonic()
            if now > end:
                raise SystemExit(f"nothing within {ANSWER_S} s: {what}")
            if self.retry_at is not None and now >= self.retry_at:
                self.retry_s = min(2 * self.retry_s, RETRY_MAX_S)
                self.announce()
            self.socket.settimeout(0.1)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise SystemExit("the port has no peer any more")
            for kind, value in self.framing.push(data):
                self.take(kind, value)

    def call(self, operation, content):
        """Sends an rpc and returns its output as plain values."""
        message_id, self.next_id = str(self.next_id), self.next_id + 1
        self.send(
            f'<rpc xmlns="{NC}" message-id="{message_id}">'
            f'<{operation} xmlns="{OFFLOAD}">{content}</{operation}></rpc>'
        )
        self.wait(lambda: message_id in self.replies, f"the answer to {operation}")
        reply = self.replies.pop(message_id)
        error = reply.find(f"{{{NC}}}rpc-error")
        if error is not None:
            return {"rpc-error": plain(error)}
        return plain(reply)

    def get_flows(self):
        """Every flow that the controller holds, page by page (section 8)."""
        flows, after = [], ""
        while True:
            page = self.call("get-flows", after + "<limit>1</limit>")
            flows += as_list(page.get("flow"))
            if page["more"] != "true":
                return flows
            last = flows[-1]
            after = element("after-epoch", last["epoch"]) + element("after-flow-id", last["flow-id"])


def plain(node):
    """An element as nested dictionaries; an element that comes twice becomes a list."""
    if len(node) == 0:
        return node.text or ""
    values = {}
    for child in node:
        name, value = child.tag.split("}")[1], plain(child)
        values[name] = as_list(values[name]) + [value] if name in values else value
    return values


def as_list(value):
    return [] if value is None else value if isinstance(value, list) else [value]


def element(name, value):
    if isinstance(value, dict):
        inner = "".join(element(k, v) for k, v in value.items())
    elif isinstance(value, list):
        return "".join(element(name, item) for item in value)
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def say(step, **fields):
    print(json.dumps({"step": step, **fields}), flush=True)


def main(path, flow_file):
    with open(flow_file, encoding="utf8") as file:
        flow = json.load(file)
    epoch = secrets.token_hex(8)
    client = Client(path)
    client.start()
    client.wait(lambda: client.open, "the session")
    say("open", sessions=client.sessions)
    say("lease", **client.call("renew-lease", element("epoch", epoch)))
    client.wait(lambda: client.credit is not None, "the first credit")
    say("credit", flows=client.credit)
    request = element("epoch", epoch) + element("flow", flow)
    say("requested", **client.call("request-offload", request))
    client.wait(lambda: client.events, "the event")
    say("event", **client.events[-1])
    say("acknowledged", reply=client.call("acknowledge-events", element("sequence", client.seen)))
    say("refused", **client.call("renew-lease", element("epoch", epoch) + element("tenant", "blue")))
    # A reboot in the middle of a chunk: the peer must forget it, and we know nothing of the session.
    client.socket.sendall(b'\n#5000\n<rpc message-id="torn">')
    client.start()
    client.wait(lambda: client.open, "the new session")
    say("open", sessions=client.sessions)
    say("held", flows=client.get_flows())
    say("repeated", **client.call("request-offload", request))
    withdrawal = element("epoch", epoch) + element("flow-id", flow["flow-id"])
    say("withdrawn", **client.call("withdraw-offload", withdrawal))
    say("empty", flows=client.get_flows())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
