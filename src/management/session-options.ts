/** What a NETCONF session is made of. Pure: types. */
import type { Duplex } from "node:stream";
import type { Log } from "../lib/base/log.ts";
import type { FramingLimits } from "../lib/netconf/framing.ts";
import type { SessionEnd } from "./core/base-events.ts";
import type { RpcHandlers } from "./rpc-answerer.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** The bounds of netconf-session.ts; a test gives smaller ones. */
export interface SessionBounds {
  readonly helloTimeoutMs: number;
  readonly helloBytesMax: number;
  readonly writeStallMs: number;
  readonly pausedBytesMax: number;
  readonly idleTimeoutMs?: number;
  readonly eventBytesMax?: number;
}

export interface SessionOptions {
  readonly stream: Duplex;
  readonly id: number;
  readonly transport: string;
  readonly username: string;
  readonly sourceHost: string;
  readonly capabilities: readonly string[];
  readonly registry: SessionRegistry;
  readonly handlers: RpcHandlers;
  readonly log: Log;
  readonly limits?: FramingLimits;
  readonly bounds?: SessionBounds;
  readonly groups?: readonly string[];
  readonly onStart?: () => void;
  /** Called once, when the session is over. */
  readonly onEnd: (why: SessionEnd, killedBy: number | undefined) => void;
}
