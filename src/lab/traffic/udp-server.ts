/**
 * UDP servers: one sends every datagram back, one answers DNS queries for addresses.
 *
 * Effect: receives and sends.
 */
import { createSocket, type Socket } from "node:dgram";
import { answerDnsQuery } from "./dns-codec.ts";
import type { ServerOptions, UdpServerResult } from "./options.ts";
import { serveUntilStopped } from "./serving.ts";

const BUFFER_BYTES: number = 4 * 1024 * 1024;

/** Sends every datagram back to where it came from, until SIGTERM. */
export function runUdpServer(options: ServerOptions): Promise<UdpServerResult> {
  return serve(options, (datagram) => datagram);
}

/** Answers every query for an address with 192.0.2.53, until SIGTERM. */
export function runDnsServer(options: ServerOptions): Promise<UdpServerResult> {
  return serve(options, answerDnsQuery);
}

async function serve(
  options: ServerOptions,
  answer: (datagram: Buffer) => Buffer | undefined,
): Promise<UdpServerResult> {
  const sums = { received: 0, sent: 0 };
  const socket = createSocket({ type: "udp6", recvBufferSize: BUFFER_BYTES });
  socket.on("message", (datagram, { address, port }) => {
    sums.received++;
    const reply = answer(datagram);
    if (reply === undefined) return;
    sums.sent++;
    socket.send(reply, port, address);
  });
  await bind(socket, options);
  await serveUntilStopped();
  socket.close();
  return sums;
}

function bind(socket: Socket, { port, address }: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, address ?? "::", () => {
      socket.off("error", reject);
      socket.on("error", () => {}); // An ICMP error about one client is not the server's end.
      resolve();
    });
  });
}
