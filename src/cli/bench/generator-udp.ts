/** UDP traffic programs. Effect: blocking sockets. */
import { FlowliftError } from "../../lib/base/errors.ts";
import { type MacAddress, parseMacAddress } from "../../lib/inet/address.ts";
import { encodeUdpFrame, setSourcePort } from "../../lib/inet/udp-frame.ts";
import {
  closeSocket,
  connectSocket,
  DatagramBatch,
  echoDatagrams,
  encodeSocketAddress,
  MSG_DONTWAIT,
  openPacketSocket,
  openSocket,
  receiveBytes,
  SOCK_DGRAM,
  sendBytes,
  socketFamily,
} from "../../lib/socket/native-socket.ts";
import { addressOf, type GeneratorOptions, POLL_MS, untilOf } from "./generator-options.ts";

const BATCH_COUNT = 64;
const BUFFER_BYTES = 8 * 1024 * 1024;

/** Little, so that datagrams die here and not elsewhere. */
const HOLD_BUFFER_BYTES = 65_536;
const STORM_FIRST_PORT = 1024;

const BLAST_FLOWS = 16;
const BLAST_FIRST_PORT = 20_000;
/** 18 bytes make the smallest Ethernet frame, 60 bytes without checksum. */
const BLAST_PAYLOAD_BYTES = 18;
const BLAST_INTERFACE = "eth0";

/** Sends small frames over many flows as fast as the kernel takes them, after each flow was answered. */
export function udpBlast(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const source = addressOf(options.sourceAddress ?? "");
  const to = encodeSocketAddress(address, options.port);
  const ports = Array.from(
    { length: options.flows ?? BLAST_FLOWS },
    (_, i) => BLAST_FIRST_PORT + i,
  );
  const sockets = ports.map((port) => {
    const fd = openSocket(SOCK_DGRAM, socketFamily(address), { address: source, port });
    connectSocket(fd, to);
    return fd;
  });
  warmUp(sockets, options.warmUpSeconds ?? 0);
  const packetSocket = openPacketSocket(BLAST_INTERFACE);
  const batches = ports.map((sourcePort) => {
    const frame = encodeUdpFrame({
      sourceMac: macOf(options.sourceMac),
      destinationMac: macOf(options.nextHopMac),
      ...{ source, destination: address, sourcePort, destinationPort: options.port },
      payload: Buffer.alloc(BLAST_PAYLOAD_BYTES),
    });
    const batch = new DatagramBatch(BATCH_COUNT, frame.length);
    fillBatch(batch, frame);
    return batch;
  });
  const started = performance.now();
  const until = untilOf(options);
  let sent = 0;
  while (performance.now() < until) {
    for (const batch of batches) sent += batch.send(packetSocket, BATCH_COUNT);
  }
  const seconds = (performance.now() - started) / 1000;
  for (const fd of [...sockets, packetSocket]) closeSocket(fd);
  return { sent, seconds };
}

function macOf(text: string | undefined): MacAddress {
  const mac = parseMacAddress(text ?? "");
  if (mac === undefined) throw new FlowliftError("USAGE", `"${text}" is no MAC address`);
  return mac;
}

const WARM_UP_PAUSE_MS = 20;
/** Frames that come so close together cost few wake-ups, and fit every queue on their way. */
const STORM_PAUSE_MS = 4;
/** A paced program that span would take a processor from what it measures. */
const PACED_PAUSE_MS = 1;

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Lets every flow be answered often enough to be established and worthy. */
function warmUp(sockets: readonly number[], seconds: number): void {
  const until = performance.now() + seconds * 1000;
  const payload = Buffer.alloc(18);
  const answer = Buffer.alloc(64);
  while (performance.now() < until) {
    for (const fd of sockets) sendBytes(fd, payload);
    pause(WARM_UP_PAUSE_MS);
    for (const fd of sockets) receiveBytes(fd, answer, MSG_DONTWAIT);
  }
}

/** Sends every datagram back to its sender. */
export function udpEcho(options: GeneratorOptions): object {
  const fd = openServer(options, BUFFER_BYTES);
  const batch = new DatagramBatch(BATCH_COUNT, 2048);
  process.stdout.write("READY\n");
  return { echoed: echoDatagrams(fd, batch, untilOf(options)) };
}

function openServer(options: GeneratorOptions, bufferBytes: number): number {
  const address = addressOf(options.address);
  return openSocket(SOCK_DGRAM, socketFamily(address), {
    ...{ address, port: options.port, bufferBytes, timeoutMs: POLL_MS },
  });
}

/** Opens new UDP flows: one datagram each way, from a fresh port every time, at a rate. */
export function udpExchange(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const to = encodeSocketAddress(address, options.port);
  const source = options.sourceAddress === undefined ? undefined : addressOf(options.sourceAddress);
  const family = socketFamily(address);
  const payload = Buffer.from("flow");
  const reply = Buffer.alloc(64);
  const started = performance.now();
  const until = untilOf(options);
  const flowsMax = options.flows ?? Number.MAX_SAFE_INTEGER;
  const open: number[] = [];
  let port = options.sourcePort ?? 1024;
  let sent = 0;
  let replied = 0;
  const settle = (keep: number): void => {
    while (open.length > keep) {
      const fd = open.shift() ?? -1;
      if (receiveBytes(fd, reply) > 0) replied++;
      closeSocket(fd);
    }
  };
  while (performance.now() < until && sent < flowsMax) {
    const due =
      options.ratePerSec === undefined
        ? sent + BATCH_COUNT
        : ((performance.now() - started) / 1000) * options.ratePerSec;
    while (sent < due && sent < flowsMax) {
      const fd = openSocket(SOCK_DGRAM, family, {
        ...(source === undefined ? {} : { address: source, port: port++ }),
        timeoutMs: 1000,
      });
      connectSocket(fd, to);
      sendBytes(fd, payload);
      open.push(fd);
      sent++;
      if (port > 65_535) port = 1024;
    }
    settle(options.ratePerSec === undefined ? BATCH_COUNT : 0);
    if (options.ratePerSec !== undefined) pause(PACED_PAUSE_MS);
  }
  settle(0);
  return { sent, replied, seconds: (performance.now() - started) / 1000 };
}

/** Answers for a while, then holds the port without reading: datagrams die at the full buffer. */
export function udpHold(options: GeneratorOptions): object {
  const fd = openServer(options, HOLD_BUFFER_BYTES);
  const batch = new DatagramBatch(BATCH_COUNT, 64);
  process.stdout.write("READY\n");
  echoDatagrams(fd, batch, performance.now() + (options.warmUpSeconds ?? 0) * 1000);
  pause(options.seconds * 1000);
  closeSocket(fd);
  return {};
}

/**
 * Opens new UDP flows by frames: one datagram for each source port from `sourcePort` and each destination port
 * from `port`, `flows` in all, at a rate. Who answers and who takes the answers is somebody else.
 */
export function udpStorm(options: GeneratorOptions): object {
  const {
    flows = 1,
    ratePerSec = Number.POSITIVE_INFINITY,
    sourcePort = STORM_FIRST_PORT,
  } = options;
  const sourcePorts = options.sourcePorts ?? flows;
  const packetSocket = openPacketSocket(BLAST_INTERFACE);
  const usedBefore = process.cpuUsage();
  const batch = new DatagramBatch(BATCH_COUNT, encodeStormFrame(options, options.port).length);
  const frames = Array.from({ length: BATCH_COUNT }, (_, index) => batch.payloadOf(index));
  const started = performance.now();
  const until = untilOf(options);
  let sent = 0;
  while (sent < flows && performance.now() < until) {
    const due = Math.min(flows, ((performance.now() - started) / 1000) * ratePerSec);
    while (sent < due) {
      const place = sent % sourcePorts;
      // Frames differ by their source ports, until those are used up.
      if (place === 0)
        fillBatch(batch, encodeStormFrame(options, options.port + sent / sourcePorts));
      const count = Math.min(BATCH_COUNT, Math.ceil(due - sent), sourcePorts - place);
      for (let index = 0; index < count; index++) {
        const frame = frames[index];
        if (frame !== undefined) setSourcePort(frame, sourcePort + place + index);
      }
      sent += batch.send(packetSocket, count);
    }
    if (sent < flows) pause(STORM_PAUSE_MS);
  }
  closeSocket(packetSocket);
  const used = process.cpuUsage(usedBefore);
  const processorSec = (used.user + used.system) / 1e6;
  return { sent, seconds: (performance.now() - started) / 1000, processorSec };
}

function fillBatch(batch: DatagramBatch, frame: Buffer): void {
  for (let index = 0; index < batch.count; index++) batch.payloadOf(index).set(frame);
}

function encodeStormFrame(options: GeneratorOptions, destinationPort: number): Buffer {
  return encodeUdpFrame({
    sourceMac: macOf(options.sourceMac),
    destinationMac: macOf(options.nextHopMac),
    source: addressOf(options.sourceAddress ?? ""),
    destination: addressOf(options.address),
    ...{ sourcePort: STORM_FIRST_PORT, destinationPort },
    payload: Buffer.alloc(BLAST_PAYLOAD_BYTES),
  });
}
