/** What flowlift-call-home configures, as typed values. Pure. */
import {
  childList,
  childNode,
  type DataNode,
  optionalNode,
  readNumber,
  readText,
} from "../../lib/service/data-reader.ts";
import type { ConfigData } from "../../lib/service/provider.ts";
import type { ReconnectStrategy, StartWith } from "./call-plan.ts";

/** Also in the YANG module. */
export const CALL_HOME_CLIENTS_MAX = 16;
export const CALL_HOME_ENDPOINTS_MAX = 8;

export type CallTransport = "ssh" | "tls" | "restconf";

/** RFC 8071 §5. */
const PORTS: Readonly<Record<CallTransport, number>> = { ssh: 4334, tls: 4335, restconf: 4336 };
const PERIOD_SEC = 3_600;
const IDLE_SEC = 120;
const KEEPALIVE_SEC = 15;
const MAX_WAIT_SEC = 5;
const MAX_ATTEMPTS = 3;
const MAX_BACK_OFF_SEC = 60;

export interface CallEndpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface CalledClient {
  readonly name: string;
  readonly transport: CallTransport;
  readonly endpoints: readonly CallEndpoint[];
  /** Undefined: the connection is kept up. `idleMs` 0: it is never ended. */
  readonly periodic?: { readonly periodMs: number; readonly idleMs: number };
  readonly keepaliveMs: number;
  readonly strategy: ReconnectStrategy;
}

export function parseCallHome(config: ConfigData): CalledClient[] {
  return childList(childNode(config, "flowlift-call-home:call-home"), "client").map(readClient);
}

function readClient(node: DataNode): CalledClient {
  const transport = (readText(node, "transport") ?? "ssh") as CallTransport;
  const periodic = optionalNode(childNode(node, "connection-type"), "periodic");
  const strategy = childNode(node, "reconnect-strategy");
  return {
    name: readText(node, "name") ?? "",
    transport,
    endpoints: childList(childNode(node, "endpoints"), "endpoint").map((endpoint) => ({
      name: readText(endpoint, "name") ?? "",
      host: readText(endpoint, "remote-address") ?? "",
      port: readNumber(endpoint, "remote-port") ?? PORTS[transport],
    })),
    ...(periodic === undefined
      ? {}
      : {
          periodic: {
            periodMs: milliseconds(periodic, "period", PERIOD_SEC),
            idleMs: milliseconds(periodic, "idle-timeout", IDLE_SEC),
          },
        }),
    keepaliveMs: milliseconds(childNode(node, "keepalives"), "idle-time", KEEPALIVE_SEC),
    strategy: {
      startWith: (readText(strategy, "start-with") ?? "first-listed") as StartWith,
      maxWaitMs: milliseconds(strategy, "max-wait", MAX_WAIT_SEC),
      maxAttempts: readNumber(strategy, "max-attempts") ?? MAX_ATTEMPTS,
      maxBackOffMs: milliseconds(strategy, "max-back-off", MAX_BACK_OFF_SEC),
    },
  };
}

function milliseconds(node: DataNode, name: string, otherwiseSec: number): number {
  return (readNumber(node, name) ?? otherwiseSec) * 1_000;
}
