/**
 * UDP request and reply over many flows, in step with the answers or at a given rate.
 *
 * Effect: sends and receives. A datagram starts with flow, number and their checksum, so that answers of
 * other flows, old answers and damaged ones are told apart.
 */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { TIMEOUT_DEFAULT_MS, type UdpClientOptions, type UdpClientResult } from "./options.ts";

const PAYLOAD_BYTES_DEFAULT = 64;
const PAYLOAD_BYTES_MIN = 16;
/** How often a paced client sends what has become due. */
const PACE_MS = 1;
/** After the last datagram of a paced client, answers may still arrive. */
const DRAIN_MS = 300;
/** A flow in step waits this long for one answer. */
const STEP_TIMEOUT_MS = 1_000;

interface Flow {
  readonly index: number;
  readonly socket: Socket;
  readonly answered: Set<number>;
  sent: number;
  duplicates: number;
  corrupted: number;
  onAnswer: () => void;
}

/** Sends `packetsPerFlow` datagrams over each flow and reports what came back. */
export async function runUdpClient(options: UdpClientOptions): Promise<UdpClientResult> {
  const startedMs = performance.now();
  const flows = await Promise.all(
    Array.from({ length: options.flows }, (_, index) => openFlow(index, options)),
  );
  if ((options.ratePps ?? 0) > 0) await sendPaced(flows, options);
  else await Promise.all(flows.map((flow) => sendInStep(flow, options)));
  for (const flow of flows) flow.socket.close();
  const sum = (count: (flow: Flow) => number): number =>
    flows.reduce((total, flow) => total + count(flow), 0);
  const sent = sum((flow) => flow.sent);
  const received = sum((flow) => flow.answered.size);
  return {
    flows: flows.length,
    silentFlows: flows.filter((flow) => flow.answered.size === 0).length,
    sent,
    received,
    lost: sent - received,
    duplicates: sum((flow) => flow.duplicates),
    corrupted: sum((flow) => flow.corrupted),
    durationMs: performance.now() - startedMs,
  };
}

function openFlow(index: number, options: UdpClientOptions): Promise<Flow> {
  const socket = createSocket(isIPv6(options.target) ? "udp6" : "udp4");
  const flow: Flow = {
    index,
    socket,
    answered: new Set(),
    sent: 0,
    duplicates: 0,
    corrupted: 0,
    onAnswer: () => {},
  };
  socket.on("message", (datagram) => receive(flow, datagram));
  socket.on("error", () => {}); // An ICMP error: the datagram counts as lost.
  return new Promise((resolve) => {
    socket.connect(options.port, options.target, () => resolve(flow));
  });
}

function receive(flow: Flow, datagram: Buffer): void {
  const number = datagram.length < PAYLOAD_BYTES_MIN ? -1 : datagram.readUInt32BE(4);
  if (number < 0 || !makeDatagram(flow.index, number, datagram.length).equals(datagram)) {
    flow.corrupted++;
    return;
  }
  if (flow.answered.has(number)) flow.duplicates++;
  flow.answered.add(number);
  flow.onAnswer();
}

function makeDatagram(flow: number, number: number, bytes: number): Buffer {
  const datagram = Buffer.alloc(Math.max(bytes, PAYLOAD_BYTES_MIN), "flowlift");
  datagram.writeUInt32BE(flow, 0);
  datagram.writeUInt32BE(number, 4);
  datagram.writeUInt32BE((Math.imul(flow + 1, 0x9e3779b1) ^ number) >>> 0, 8);
  return datagram;
}

function sendNext(flow: Flow, options: UdpClientOptions): void {
  const bytes = options.payloadBytes ?? PAYLOAD_BYTES_DEFAULT;
  flow.socket.send(makeDatagram(flow.index, flow.sent++, bytes), () => {});
}

async function sendInStep(flow: Flow, options: UdpClientOptions): Promise<void> {
  const timeoutMs = Math.min(STEP_TIMEOUT_MS, options.timeoutMs ?? TIMEOUT_DEFAULT_MS);
  for (let packet = 0; packet < options.packetsPerFlow; packet++) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      flow.onAnswer = () => {
        clearTimeout(timer);
        resolve();
      };
      sendNext(flow, options);
    });
  }
}

async function sendPaced(flows: readonly Flow[], options: UdpClientOptions): Promise<void> {
  const total = flows.length * options.packetsPerFlow;
  const startedMs = performance.now();
  let sent = 0;
  while (sent < total) {
    const elapsedMs = performance.now() - startedMs;
    const due = Math.min(total, Math.ceil((elapsedMs * (options.ratePps ?? 0)) / 1000));
    for (; sent < due; sent++) {
      const flow = flows[sent % flows.length];
      if (flow !== undefined) sendNext(flow, options);
    }
    await sleep(PACE_MS);
  }
  await sleep(DRAIN_MS); // Duplicates show up by then, too.
  await drain(flows, (options.timeoutMs ?? DRAIN_MS) - DRAIN_MS);
}

/** Waits for the answers that are still on their way. */
async function drain(flows: readonly Flow[], timeoutMs: number): Promise<void> {
  const until = performance.now() + timeoutMs;
  const isOpen = (flow: Flow): boolean => flow.answered.size < flow.sent;
  while (performance.now() < until && flows.some(isOpen)) await sleep(PACE_MS);
}
