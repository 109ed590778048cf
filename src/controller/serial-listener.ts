/**
 * The serial protocol on a Unix socket of its own for each virtual machine: no bridge, no TLS.
 *
 * Effect: listens. For `--mock` only: whoever may open the socket is the virtual machine.
 * Limit: one connection for each socket; a newer one takes the place of the older.
 */
import { existsSync, lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { FlowliftError } from "../lib/base/errors.ts";
import { CBOR_ENVELOPE, CBOR_ERROR, CBOR_REPLY } from "../offload-protocol/codec-cbor.ts";
import { encodeMarker, encodeMessage, FrameDecoder } from "../offload-protocol/framing.ts";
import type { Controller } from "./controller.ts";
import type { MockFaults } from "./mock-faults.ts";
import type { VirtualMachine } from "./model.ts";
import type { VmTransport } from "./vm-session.ts";

/** How long a message is held back at most, when it is to be sent after the next one. */
const HOLD_BACK_MS = 50;

export interface SerialListenerOptions {
  readonly controller: Controller;
  readonly vm: VirtualMachine;
  readonly path: string;
  readonly faults: MockFaults;
  /** Called when the faults say that the process is to die now. */
  readonly crash: () => void;
}

/** Listens; a stale socket file is replaced. Throws PORT_IN_USE. */
export async function serveSerial(options: SerialListenerOptions): Promise<Server> {
  const { path } = options;
  // What an earlier run left is replaced; a file that is no socket is not ours to remove.
  if (existsSync(path) && lstatSync(path).isSocket()) {
    if (await isServed(path)) {
      throw new FlowliftError("PORT_IN_USE", `Somebody listens on "${path}" already`);
    }
    unlinkSync(path);
  }
  let current: Socket | undefined;
  const server = createServer((socket) => {
    current?.destroy();
    current = socket;
    takeConnection(options, socket);
  });
  server.on("close", () => current?.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new FlowliftError("PORT_IN_USE", `Cannot listen on "${path}"`, { cause }));
    });
    server.listen(path, () => resolve(server));
  });
}

/** Whether somebody accepts connections. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function takeConnection(options: SerialListenerOptions, socket: Socket): void {
  const { controller, vm, faults, crash } = options;
  const decoder = new FrameDecoder();
  const transport = socketTransport(socket, faults);
  const session = controller.attach(vm.host, vm.key, transport, () => socket.destroy());
  if (session === undefined) {
    socket.destroy(); // The configuration was changed under the listener.
    return;
  }
  socket.on("data", (bytes: Buffer) => {
    for (const item of decoder.push(bytes)) {
      if (item.kind === "message" && session.isOpen && faults.countRequest()) crash();
      session.take(item);
    }
    if (socket.writableNeedDrain) socket.pause();
  });
  socket.on("drain", () => {
    socket.resume();
    session.flush();
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => controller.detach(vm.key, session));
  session.take({ kind: "start" });
}

function socketTransport(socket: Socket, faults: MockFaults): VmTransport {
  let heldBack: Uint8Array | undefined;
  const release = (): void => {
    const bytes = heldBack;
    heldBack = undefined;
    if (bytes !== undefined && !socket.destroyed) socket.write(encodeMessage(bytes));
  };
  return {
    sendMarker: (sessionId) => void socket.write(encodeMarker(sessionId)),
    sendMessage: (bytes) => {
      const isReply = isRpcReply(bytes);
      if (isReply && faults.happens("dropReplyShare")) return;
      if (isReply && heldBack === undefined && faults.happens("reorderShare")) {
        heldBack = bytes;
        setTimeout(release, HOLD_BACK_MS);
        return;
      }
      socket.write(encodeMessage(bytes));
      release();
    },
    get isWritable() {
      return !socket.writableNeedDrain;
    },
  };
}

/** Only answers are lost or reordered: events must come in order, as on a real port. */
function isRpcReply(bytes: Uint8Array): boolean {
  const isCbor = bytes[0] === CBOR_ENVELOPE;
  if (isCbor) return bytes[1] === CBOR_REPLY || bytes[1] === CBOR_ERROR;
  return /^<(?:nc:)?rpc-reply/.test(Buffer.from(bytes.subarray(0, 16)).toString("latin1"));
}
