/**
 * Listening sockets on 127.0.0.1 of the namespace that started the lab, for children in other ones.
 *
 * Effect: opens sockets. The lab never accepts on them: a child inherits the descriptor, and the queue
 * outlives the child.
 */
import { fstatSync, readFileSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import type { IpAddress } from "../lib/inet/address.ts";
import { closeSocket, listenSocket, openSocket, SOCK_STREAM } from "../lib/socket/native-socket.ts";

const LOOPBACK = "127.0.0.1" as IpAddress;
/** Connections that wait while the child is away. */
const BACKLOG_COUNT = 128;

export interface ListeningSocket {
  readonly fd: number;
  readonly port: number;
  close(): void;
}

/** Opens a socket on `port`, or on a free one for 0. Throws PORT_IN_USE. */
export function openListeningSocket(port: number): ListeningSocket {
  let fd: number;
  try {
    fd = openSocket(SOCK_STREAM, 4, { address: LOOPBACK, port });
  } catch (cause) {
    if (port === 0) throw cause;
    throw new FlowliftError("PORT_IN_USE", `Cannot listen on 127.0.0.1 port ${port}`, { cause });
  }
  try {
    listenSocket(fd, BACKLOG_COUNT);
  } catch (cause) {
    closeSocket(fd);
    throw new FlowliftError("PORT_IN_USE", `Cannot listen on 127.0.0.1 port ${port}`, { cause });
  }
  return { fd, port: readPort(fd), close: () => closeSocket(fd) };
}

/** Finds the socket by its inode, as the kernel lists it. */
function readPort(fd: number): number {
  const inode = String(fstatSync(fd).ino);
  for (const line of readFileSync("/proc/self/net/tcp", "utf8").split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const portText = fields[1]?.split(":")[1];
    if (fields[9] === inode && portText !== undefined) return Number.parseInt(portText, 16);
  }
  throw new FlowliftError("LAB_FAILED", "Cannot find the port of a listening socket");
}
