/**
 * An HTTP client that opens many connections and uses each for several requests.
 *
 * Effect: connects.
 */
import { Agent, get, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { familyOf, formatIpBytes, ipToBytes, parseIpPrefix } from "../../lib/inet/address.ts";
import {
  type HttpClientOptions,
  type HttpClientResult,
  PARALLEL_DEFAULT,
  TIMEOUT_DEFAULT_MS,
} from "./options.ts";
import { forEachIndex, nameFailure, Tally } from "./serving.ts";

const BODY_BYTES_DEFAULT = 100;

interface Answer {
  readonly bytes: number;
  readonly server: string;
  readonly peer: string;
}

/** Opens `connections` connections and reports how they fared. */
export async function runHttpClient(options: HttpClientOptions): Promise<HttpClientResult> {
  const startedMs = performance.now();
  const tallies = { servers: new Tally(), seenAs: new Tally(), errors: new Tally() };
  const sums = { failedConnections: 0, requests: 0, failedRequests: 0, bytes: 0 };
  const perConnection = options.requestsPerConnection ?? 1;
  const useConnection = async (index: number): Promise<void> => {
    const localAddress = pickLocalAddress(options.localPrefix, index);
    const agent = new Agent({
      keepAlive: true,
      maxSockets: 1,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    try {
      for (let request = 0; request < perConnection; request++) {
        if (request > 0 && options.pauseMs !== undefined) await sleep(options.pauseMs);
        sums.requests++;
        const answer = await ask(agent, options);
        sums.bytes += answer.bytes;
        if (request > 0) continue;
        tallies.servers.add(answer.server);
        tallies.seenAs.add(answer.peer);
      }
    } catch (error) {
      sums.failedConnections++;
      sums.failedRequests++;
      tallies.errors.add(nameFailure(error));
    } finally {
      agent.destroy();
    }
  };
  await forEachIndex(options.connections, options.parallel ?? PARALLEL_DEFAULT, useConnection);
  return {
    connections: options.connections,
    ...sums,
    servers: tallies.servers.toJson(),
    seenAs: tallies.seenAs.toJson(),
    errors: tallies.errors.toJson(),
    durationMs: performance.now() - startedMs,
  };
}

/** Returns the prefix's address number `index`, again from the first one after the last. */
export function pickLocalAddress(
  prefixText: string | undefined,
  index: number,
): string | undefined {
  const prefix = prefixText === undefined ? undefined : parseIpPrefix(prefixText);
  if (prefix === undefined || familyOf(prefix.address) !== 4) return undefined;
  const base = Buffer.from(ipToBytes(prefix.address)).readUInt32BE();
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(base + (index % 2 ** (32 - prefix.lengthBits)));
  return formatIpBytes(bytes);
}

/** A second connection of an agent would hide that the first one broke, so it counts as a failure. */
function ask(agent: Agent, options: HttpClientOptions): Promise<Answer> {
  const bodyBytes = options.bodyBytes ?? BODY_BYTES_DEFAULT;
  return new Promise((resolve, reject) => {
    const request = get(
      {
        agent,
        host: options.target,
        port: options.port,
        path: `/bytes/${bodyBytes}`,
        timeout: options.timeoutMs ?? TIMEOUT_DEFAULT_MS,
      },
      (response) => collect(response, bodyBytes).then(resolve, reject),
    );
    request.once("timeout", () => request.destroy(new Error("no answer in time")));
    request.once("error", reject);
  });
}

async function collect(response: IncomingMessage, bodyBytes: number): Promise<Answer> {
  let bytes = 0;
  for await (const chunk of response) bytes += (chunk as Buffer).length;
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  if (bytes !== bodyBytes) throw new Error("a body of another length");
  const header = (name: string): string => String(response.headers[name] ?? "");
  return { bytes, server: header("x-server"), peer: header("x-peer") };
}
