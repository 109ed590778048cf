"""Drives ncclient: one JSON command a line on stdin, one JSON result a line on stdout.

{"session": "a", "connect": {...}}            opens a session ("base": "1.0" offers no other;
                                              "called": true waits to be called at the port)
{"session": "a", "call": "lock", "args": {}}  calls a method of ncclient's manager
{"session": "a", "rpc": "<get/>"}             sends an operation as it is
"""
import json
import sys

import ncclient.transport.ssh
from ncclient import manager
from ncclient.devices.default import DefaultDeviceHandler
from ncclient.operations.rpc import RPCError
from ncclient.xml_ import to_ele

ncclient.transport.ssh.TICK = 0.002  # It looks at the socket only that often.
ALL_CAPABILITIES = list(DefaultDeviceHandler._BASE_CAPABILITIES)
OLD_CAPABILITIES = [item for item in ALL_CAPABILITIES if not item.endswith("base:1.1")]
sessions = {}


def connect(name, port, username, key, base="1.1", host="127.0.0.1", called=False):
    old = base == "1.0"
    DefaultDeviceHandler._BASE_CAPABILITIES = OLD_CAPABILITIES if old else ALL_CAPABILITIES
    session = (manager.call_home if called else manager.connect)(
        host=host, port=port, username=username, key_filename=key, hostkey_verify=False,
        allow_agent=False, look_for_keys=False, timeout=20)
    sessions[name] = session
    return {"sessionId": int(session.session_id), "capabilities": list(session.server_capabilities)}


def handle(command):
    name = command["session"]
    if "connect" in command:
        return connect(name, **command["connect"])
    session = sessions[name]
    if "rpc" in command:
        return {"xml": session.dispatch(to_ele(command["rpc"])).xml}
    args = command.get("args", {})
    if "filter" in args:
        args["filter"] = tuple(args["filter"])
    reply = getattr(session, command["call"])(**args)
    return {"xml": getattr(reply, "xml", str(reply))}


for line in sys.stdin:
    try:
        result = handle(json.loads(line))
    except RPCError as error:
        result = {"error": {"type": error.type, "tag": error.tag, "appTag": error.app_tag,
                            "severity": error.severity, "path": error.path,
                            "message": error.message, "info": error.info}}
    except Exception as error:  # The test says which ones it expects.
        result = {"exception": "%s: %s" % (type(error).__name__, error)}
    print(json.dumps(result), flush=True)
