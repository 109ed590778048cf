/**
 * The gRPC server that bridges connect to: one call for each virtual machine.
 *
 * Effect: listens, with mutual TLS. A call is accepted only if its client certificate names one host, and
 * the stamped virtual machine is placed on that host; anything else is refused and audited.
 * Limit: CALLS_PER_CONNECTION_MAX calls on one connection.
 */
import { Server, ServerCredentials, type ServerDuplexStream, status } from "@grpc/grpc-js";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { hostNameOfPeer } from "../lib/pki/peer.ts";
import type { TlsMaterial } from "../lib/pki/store.ts";
import { PLACEMENT_SERVICE } from "../offload-protocol/placements.ts";
import {
  readStamp,
  UPSTREAM_CHANNEL_OPTIONS,
  UPSTREAM_SERVICE,
  type UpstreamFrame,
} from "../offload-protocol/upstream.ts";
import type { Controller } from "./controller.ts";
import { vmKey } from "./model.ts";
import type { PlacementBoard } from "./placement-board.ts";
import { takeWatch } from "./placement-server.ts";
import type { VmSession, VmTransport } from "./vm-session.ts";

export const CALLS_PER_CONNECTION_MAX = 4096;
/** A bridge that does not answer a ping for this long is gone. */
const KEEPALIVE_MS = 10_000;
type Call = ServerDuplexStream<UpstreamFrame, UpstreamFrame>;

/** Listens; returns the address with the port that was chosen, and how to stop. */
export async function serveUpstream(
  controller: Controller,
  address: string,
  identity: TlsMaterial,
  log: Log,
  board?: PlacementBoard,
): Promise<{ readonly address: string; close(): void }> {
  const server = new Server({
    ...UPSTREAM_CHANNEL_OPTIONS,
    "grpc.max_concurrent_streams": CALLS_PER_CONNECTION_MAX,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_MS,
  });
  server.addService(UPSTREAM_SERVICE, {
    attach: (call: Call) => takeCall(controller, call, log),
  });
  if (board !== undefined) {
    server.addService(PLACEMENT_SERVICE, {
      watch: (call: Parameters<typeof takeWatch>[2]) => takeWatch(controller, board, call, log),
    });
  }
  const { authority, certificate, key } = identity;
  const credentials = ServerCredentials.createSsl(
    Buffer.from(authority),
    [{ cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) }],
    true, // Without a certificate of our authority there is no connection.
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else {
        reject(new FlowliftError("PORT_IN_USE", `Cannot listen on "${address}"`, { cause: error }));
      }
    });
  });
  return {
    address: address.startsWith("unix:") ? address : address.replace(/:\d+$/, `:${port}`),
    close: () => server.forceShutdown(),
  };
}

function takeCall(controller: Controller, call: Call, log: Log): void {
  const peer = hostNameOfPeer(call.getAuthContext().sslPeerCertificate);
  if (!peer.ok) {
    const detail = peer.error.message;
    refuse(controller, call, log, { reason: "certificate-without-host", detail });
    return;
  }
  const host = peer.value;
  const stamp = readStamp(call.metadata);
  if (!stamp.ok) {
    refuse(controller, call, log, { reason: "stamp-invalid", detail: stamp.error.message, host });
    return;
  }
  const { tenant, vm } = stamp.value;
  const key = vmKey(tenant, vm);
  const transport = callTransport(call);
  const session = controller.attach(host, key, transport, () => call.end());
  if (session === undefined) {
    const detail = `${key} is not placed on host "${host}"`;
    refuse(controller, call, log, { reason: "vm-not-on-host", detail, host, tenant, vm });
    return;
  }
  log.info("attached", { host, vm: key });
  readFrames(controller, call, session, key, log); // The bridge says when the port has a peer.
}

function readFrames(
  controller: Controller,
  call: Call,
  session: VmSession,
  key: string,
  log: Log,
): void {
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    controller.detach(key, session);
    call.end();
    log.info("detached", { vm: key });
  };
  call.on("data", (frame: UpstreamFrame) => {
    if (isOver) return;
    takeFrame(controller, session, key, frame);
    // Whoever does not read our answers is not read either.
    if (call.writableNeedDrain) call.pause();
  });
  call.on("drain", () => {
    call.resume();
    session.flush();
  });
  call.on("end", end);
  call.on("error", end);
  call.on("cancelled", end);
}

function takeFrame(
  controller: Controller,
  session: VmSession,
  key: string,
  frame: UpstreamFrame,
): void {
  switch (frame.kind) {
    case "marker":
      session.take(frame);
      return;
    case "message": {
      const { buffer, byteOffset, byteLength } = frame.bytes;
      session.take({ kind: "message", bytes: Buffer.from(buffer, byteOffset, byteLength) });
      return;
    }
    case "serial-up":
      session.take({ kind: "start" });
      return;
    case "serial-down":
      session.take({ kind: "stop" });
      return;
    case "refused-by-limit": {
      const [tenant = "", vm = ""] = key.split("/");
      controller.ledger.metrics.bridgeLimits.add({ tenant, vm, limit: frame.what });
      controller.ledger.writeAudit({ what: "bridge-limit", tenant, vm, reason: frame.what });
      session.take({ kind: "lost" });
    }
  }
}

function callTransport(call: Call): VmTransport {
  return {
    sendMarker: (sessionId) => void call.write({ kind: "marker", sessionId }),
    sendMessage: (bytes) => void call.write({ kind: "message", bytes }),
    get isWritable() {
      return !call.writableNeedDrain;
    },
  };
}

interface StampRefusal {
  readonly reason: string;
  readonly detail: string;
  readonly host?: string;
  readonly tenant?: string;
  readonly vm?: string;
}

function refuse(controller: Controller, call: Call, log: Log, refusal: StampRefusal): void {
  controller.ledger.metrics.stampsRefused.add({ reason: refusal.reason });
  controller.ledger.writeAudit({ what: "stamp-refused", ...refusal });
  log.warn("refused a bridge's call", { ...refusal });
  call.on("error", () => {});
  call.emit("error", { code: status.PERMISSION_DENIED, details: refusal.detail });
}
