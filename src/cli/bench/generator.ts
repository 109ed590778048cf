/**
 * Traffic programs of the benches: each runs in a lab host's namespace and prints one JSON line.
 *
 * Effect: blocking sockets; this process does nothing else. `node generator.js MODE JSON`.
 * A serving mode prints `READY` first and ends by itself after `seconds`.
 */
import type { GeneratorOptions } from "./generator-options.ts";
import { tcpAccept, tcpConnect, tcpSink, tcpSource } from "./generator-tcp.ts";
import { udpBlast, udpEcho, udpExchange, udpHold, udpStorm } from "./generator-udp.ts";

const MODES: Readonly<Record<string, (options: GeneratorOptions) => object>> = {
  "tcp-accept": tcpAccept,
  "tcp-connect": tcpConnect,
  "tcp-sink": tcpSink,
  "tcp-source": tcpSource,
  "udp-blast": udpBlast,
  "udp-echo": udpEcho,
  "udp-exchange": udpExchange,
  "udp-hold": udpHold,
  "udp-storm": udpStorm,
};

const mode = MODES[process.argv[2] ?? ""];
if (mode === undefined) {
  process.stderr.write(`generator: the modes are ${Object.keys(MODES).join(", ")}\n`);
  process.exitCode = 2;
} else {
  const result = mode(JSON.parse(process.argv[3] ?? "{}") as GeneratorOptions);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
