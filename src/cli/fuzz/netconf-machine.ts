/**
 * The layers that hostile bytes meet, one behind the other, without sockets.
 *
 * Effect: one libyang context, and a store in a folder of its own.
 * A case fails when a layer throws, when a decoder depends on how bytes are cut, or when a reply is
 * not a reply of RFC 6241.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SILENT_LOG } from "../../lib/base/log.ts";
import { ok } from "../../lib/base/result.ts";
import { EndOfMessageDecoder } from "../../lib/netconf/end-of-message.ts";
import { ChunkDecoder, encodeChunked, type MessageDecoder } from "../../lib/netconf/framing.ts";
import { parseClientHello } from "../../lib/netconf/hello.ts";
import { parseXml } from "../../lib/xml/tree.ts";
import type { YangModuleRequest } from "../../lib/yang/yang-context.ts";
import { ManagementServer } from "../../management/management-server.ts";
import { RpcAnswerer } from "../../management/rpc-answerer.ts";
import type { SessionEntry } from "../../management/session-registry.ts";
import { NETCONF_CORPUS } from "./netconf-corpus.ts";
import type { Random } from "./random.ts";

const LIMITS = { chunkBytesMax: 1_048_576, messageBytesMax: 1_048_576 };
const TAGS: ReadonlySet<string> = new Set([
  "in-use",
  "invalid-value",
  "too-big",
  "missing-attribute",
  "bad-attribute",
  "unknown-attribute",
  "missing-element",
  "bad-element",
  "unknown-element",
  "unknown-namespace",
  "access-denied",
  "lock-denied",
  "resource-denied",
  "rollback-failed",
  "data-exists",
  "data-missing",
  "operation-not-supported",
  "operation-failed",
  "malformed-message",
]);

export interface MachineOptions {
  readonly searchDirectories: readonly string[];
  readonly modules: readonly YangModuleRequest[];
}

export class NetconfMachine {
  /** How often each operation ended in each way. */
  readonly outcomes: Map<string, number> = new Map();
  readonly #folder: string;
  readonly #server: ManagementServer;
  readonly #answerer: RpcAnswerer;

  private constructor(folder: string, server: ManagementServer) {
    this.#folder = folder;
    this.#server = server;
    this.#answerer = new RpcAnswerer(SESSION, server.handlers, server.registry, SILENT_LOG);
  }

  static async create(options: MachineOptions): Promise<NetconfMachine> {
    const folder = mkdtempSync(join(tmpdir(), "flowlift-fuzz-"));
    const server = await ManagementServer.start({
      ...options,
      applier: {
        prepare: async () => ok(undefined),
        commit: async () => ({ late: [] }),
        abort: async () => undefined,
        getState: async () => ({}),
      },
      stateDirectory: folder,
      hostKeyFile: join(folder, "host-key"),
      authorizedKeysFile: join(folder, "none"),
      users: [SESSION.username],
      listen: [],
      bootId: "fuzz",
      dayZeroConfig: undefined,
      savesStartup: () => true,
      log: SILENT_LOG,
    });
    return new NetconfMachine(folder, server);
  }

  dispose(): void {
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Returns what is wrong, or undefined. */
  async feed(message: Buffer, random: Random): Promise<string | undefined> {
    try {
      return this.#feedFraming(message, random) ?? (await this.#feedRpc(message));
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }

  #feedFraming(message: Buffer, random: Random): string | undefined {
    parseClientHello(message);
    const isFramed = message.length > 0 && random.below(2) === 0;
    const bytes = isFramed ? encodeChunked(message, 1 + random.below(4_096)) : message;
    for (const make of [() => new ChunkDecoder(LIMITS), () => new EndOfMessageDecoder(LIMITS)]) {
      const whole = decode(make(), [bytes]);
      const cut = decode(make(), cutUp(bytes, random));
      if (whole !== cut) return `A decoder depends on the cut:\n${whole}\n${cut}`;
    }
    return undefined;
  }

  async #feedRpc(message: Buffer): Promise<string | undefined> {
    const { text } = await this.#answerer.answer(message, "1.1");
    const reply = parseXml(text);
    if (!reply.ok) return `The reply is no XML: ${reply.error.message}`;
    if (reply.value.local !== "rpc-reply") return `The reply is a "${reply.value.local}"`;
    let end = "ok";
    for (const child of reply.value.children) {
      if (child.local !== "rpc-error") continue;
      end = child.children.find(({ local }) => local === "error-tag")?.text ?? "";
      if (!TAGS.has(end)) return `The error-tag is "${end}"`;
      if (text.includes("The server failed; its log says why")) return "The server failed";
    }
    const operation = /<rpc [^>]*>\s*<([\w-]+)/.exec(message.toString("latin1"))?.[1] ?? "";
    const name = `${KNOWN.has(operation) ? operation : "other"} ${end}`;
    this.outcomes.set(name, (this.outcomes.get(name) ?? 0) + 1);
    return undefined;
  }
}

const KNOWN: ReadonlySet<string> = new Set(
  NETCONF_CORPUS.map((text) => /<rpc [^>]*><([\w-]+)/.exec(text)?.[1] ?? ""),
);

const SESSION: SessionEntry = {
  id: 1,
  transport: "netconf-ssh",
  username: "fuzz",
  sourceHost: "::1",
  loginTime: new Date(0),
  counters: { inRpcs: 0, inBadRpcs: 0, outRpcErrors: 0, outNotifications: 0 },
  terminate: () => undefined,
};

function cutUp(bytes: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.below(random.below(4) === 0 ? 3 : 512);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

function decode(decoder: MessageDecoder, pieces: readonly Buffer[]): string {
  const messages: string[] = [];
  for (const piece of pieces) {
    const pushed = decoder.push(piece);
    if (!pushed.ok) break;
    for (const message of pushed.value) messages.push(message.toString("latin1"));
  }
  return JSON.stringify([
    messages,
    decoder.failure?.kind,
    decoder.failure ? 0 : decoder.pendingBytes,
  ]);
}
