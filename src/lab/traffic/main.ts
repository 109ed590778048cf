/**
 * The lab's traffic programs: `node main.js MODE OPTIONS-AS-JSON`; the last line printed is the result.
 *
 * Effect: sockets, standard input and output. Servers print READY when they listen and end on SIGTERM.
 */
import { runDnsClient } from "./dns-client.ts";
import { runHttpClient } from "./http-client.ts";
import { runHttpServer } from "./http-server.ts";
import type { TrafficMode, TrafficPrograms } from "./options.ts";
import { runTransferClient } from "./transfer-client.ts";
import { runTransferServer } from "./transfer-server.ts";
import { runUdpClient } from "./udp-client.ts";
import { runDnsServer, runUdpServer } from "./udp-server.ts";

type Programs = {
  readonly [Mode in TrafficMode]: (
    options: TrafficPrograms[Mode]["options"],
  ) => Promise<TrafficPrograms[Mode]["result"]>;
};

const PROGRAMS: Programs = {
  "http-server": runHttpServer,
  "http-client": runHttpClient,
  "transfer-server": runTransferServer,
  "transfer-client": runTransferClient,
  "udp-server": runUdpServer,
  "udp-client": runUdpClient,
  "dns-server": runDnsServer,
  "dns-client": runDnsClient,
};

async function runMode<Mode extends TrafficMode>(mode: Mode, options: string): Promise<object> {
  const program: (
    options: TrafficPrograms[Mode]["options"],
  ) => Promise<TrafficPrograms[Mode]["result"]> = PROGRAMS[mode];
  return await program(JSON.parse(options) as TrafficPrograms[Mode]["options"]);
}

const mode = process.argv[2] ?? "";
if (!Object.hasOwn(PROGRAMS, mode)) {
  process.stderr.write(`the traffic programs are ${Object.keys(PROGRAMS).join(", ")}\n`);
  process.exitCode = 2;
} else {
  try {
    const result = await runMode(mode as TrafficMode, process.argv[3] ?? "{}");
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } catch (error) {
    process.stderr.write(`${mode}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
