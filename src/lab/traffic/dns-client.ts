/** A burst of DNS queries, each from a port of its own: many short UDP flows. Effect: sends and receives. */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { isDnsAnswer, makeDnsQuery } from "./dns-codec.ts";
import {
  type DnsClientOptions,
  type DnsClientResult,
  PARALLEL_DEFAULT,
  TIMEOUT_DEFAULT_MS,
} from "./options.ts";
import { forEachIndex } from "./serving.ts";

/** Sends all queries and reports how many were answered rightly. */
export async function runDnsClient(options: DnsClientOptions): Promise<DnsClientResult> {
  const startedMs = performance.now();
  const sums = { answered: 0, wrong: 0, unanswered: 0 };
  await forEachIndex(options.queries, options.parallel ?? PARALLEL_DEFAULT, async (index) => {
    sums[await askOnce(options, index)]++;
  });
  return { queries: options.queries, ...sums, durationMs: performance.now() - startedMs };
}

function askOnce(
  options: DnsClientOptions,
  index: number,
): Promise<"answered" | "wrong" | "unanswered"> {
  const query = makeDnsQuery(index & 0xffff, `host${index}.example`);
  const socket = createSocket(isIPv6(options.target) ? "udp6" : "udp4");
  return new Promise((resolve) => {
    const finish = (outcome: "answered" | "wrong" | "unanswered"): void => {
      clearTimeout(timer);
      socket.close();
      resolve(outcome);
    };
    const timer = setTimeout(() => finish("unanswered"), options.timeoutMs ?? TIMEOUT_DEFAULT_MS);
    socket.once("error", () => finish("unanswered"));
    socket.once("message", (answer) => finish(isDnsAnswer(query, answer) ? "answered" : "wrong"));
    socket.send(query, options.port, options.target);
  });
}
