"""One NFQUEUE listener by hand: nfqueue.py QUEUE MARK COUNT.

Prints READY when it listens, then for each packet its length, and accepts it with the packet mark MARK. Ends
after COUNT packets. Written from linux/netfilter/nfnetlink_queue.h; independent of the project's own code.
"""
import socket
import struct
import sys

NETLINK_NETFILTER = 12
NFQNL_MSG_PACKET, NFQNL_MSG_VERDICT, NFQNL_MSG_CONFIG = 0x300, 0x301, 0x302
REQUEST, ACK = 1, 4
NF_ACCEPT = 1

queue, mark, count = (int(word) for word in sys.argv[1:])
channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
channel.bind((0, 0))


def attribute(kind, value):
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def send(kind, flags, attributes):
    body = struct.pack(">BBH", 0, 0, queue) + attributes
    channel.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)


def configure(attributes):
    send(NFQNL_MSG_CONFIG, REQUEST | ACK, attributes)
    error = struct.unpack_from("=i", channel.recv(65536), 16)[0]
    if error:
        raise OSError(-error, "the queue was not configured")


def read_attributes(message):
    at, found = 20, {}
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        found[kind & 0x3FFF] = message[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


configure(attribute(1, struct.pack(">BxH", 1, socket.AF_INET)))  # NFQA_CFG_CMD: bind
configure(attribute(2, struct.pack(">IB", 0xFFFF, 2)))  # NFQA_CFG_PARAMS: copy whole packets
print("READY", flush=True)
for _ in range(count):
    packet = read_attributes(channel.recv(65536 + 256))
    identity = packet[1][:4]  # NFQA_PACKET_HDR
    print(len(packet[10]), flush=True)  # NFQA_PAYLOAD
    verdict = attribute(2, struct.pack(">I", NF_ACCEPT) + identity)
    send(NFQNL_MSG_VERDICT, REQUEST, verdict + attribute(3, struct.pack(">I", mark)))
