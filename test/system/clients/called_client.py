"""A management client that waits to be called home over TLS: called_client.py PORT CA CERT KEY WHAT

Prints READY when it listens, then what the appliance sends: for "netconf" its hello and the answer to a
get of the sessions, for "restconf" the answer to a GET of the YANG library's version.
"""
import socket
import ssl
import sys

port, authority, certificate, key, what = sys.argv[1:]
MARK = b"]]>]]>"
HELLO = (b'<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities><capability>'
         b"urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>" + MARK)
GET = (b'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><get><filter>'
       b'<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><sessions/>'
       b"</netconf-state></filter></get></rpc>" + MARK)
REQUEST = (b"GET /restconf/yang-library-version HTTP/1.1\r\nHost: appliance\r\n"
           b"Connection: close\r\n\r\n")

listener = socket.create_server(("127.0.0.1", int(port)))
listener.settimeout(20)
print("READY", flush=True)
raw, _ = listener.accept()
raw.settimeout(20)
context = ssl.create_default_context(cafile=authority)
context.check_hostname = False  # The certificate itself is what is known.
context.load_cert_chain(certificate, key)
peer = context.wrap_socket(raw)


def read_to(mark):
    text = b""
    while mark is None or not text.endswith(mark):
        more = peer.recv(65536)
        if not more:
            break
        text += more
    print(text.decode(), flush=True)


if what == "netconf":
    peer.sendall(HELLO)
    read_to(MARK)
    peer.sendall(GET)
    read_to(MARK)
else:
    peer.sendall(REQUEST)
    read_to(None)
peer.close()
