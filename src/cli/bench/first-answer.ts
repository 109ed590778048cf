/**
 * Knocks until a TCP server answers, and prints when it did: `node first-answer.js {address,port,seconds}`.
 *
 * Effect: blocking sockets. Prints READY before the first attempt, then process.hrtime of the first connection.
 */
import {
  closeSocket,
  connectSocket,
  encodeSocketAddress,
  openSocket,
  SOCK_STREAM,
  setResetOnClose,
  socketFamily,
} from "../../lib/socket/native-socket.ts";
import { addressOf, untilOf } from "./generator-options.ts";

/** A SYN that nobody answers is given up: the next attempt is what measures. */
const ATTEMPT_MS = 20;
const PAUSE_MS = 5;

const options = JSON.parse(process.argv[2] ?? "{}") as {
  address: string;
  port: number;
  seconds: number;
};
const address = addressOf(options.address);
const to = encodeSocketAddress(address, options.port);
const until = untilOf(options);
process.stdout.write("READY\n");
for (;;) {
  if (performance.now() > until) process.exit(1);
  const fd = openSocket(SOCK_STREAM, socketFamily(address), { timeoutMs: ATTEMPT_MS });
  const connected = connectSocket(fd, to);
  if (connected) setResetOnClose(fd);
  closeSocket(fd);
  if (connected) break;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
}
process.stdout.write(`${process.hrtime.bigint()}\n`);
