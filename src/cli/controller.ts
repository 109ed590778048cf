/** `flowlift controller`. */
import {
  type ControllerAddresses,
  readControllerSettings,
  runController,
} from "../controller/run-controller.ts";
import { type MockAddresses, mockConfigFile, runMock } from "../controller/run-mock.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { createLog } from "../lib/base/log.ts";
import { type ParsedFlags, parseFlags } from "./arguments.ts";
import { waitForStop } from "./stop-signal.ts";

const USAGE =
  "flowlift controller --settings FILE | flowlift controller --mock --listen unix:PATH [FAULTS]";
const ADMIN_DEFAULT = "127.0.0.1:0";

/** Flag of each fault, its name in POST /faults, and what it does. */
const FAULTS: readonly (readonly [flag: string, name: string, meaning: string])[] = [
  ["delay", "delayMs", "MS     every install and withdrawal takes this much longer"],
  ["refuse-share", "refuseShare", "0..1   share of flows refused late (table-full)"],
  ["drop-replies", "dropReplyShare", "0..1   share of answers that are never sent"],
  ["reorder", "reorderShare", "0..1   share of answers sent after the next message"],
  ["crash-after", "crashAfter", "N      die by SIGKILL at the Nth request"],
  ["table", "tableFlows", "N      flows that the table holds (default 65536)"],
];

function formatHelp(): string {
  const faults = FAULTS.map(([flag, , meaning]) => `  --${flag.padEnd(13)} ${meaning}\n`);
  return `usage: ${USAGE}

  --settings FILE   run the controller of these settings

  --mock            run a controller without fast path, bridge and TLS, to test an appliance
  --listen unix:P   serve the serial protocol on this socket; {vm} stands for TENANT-VM
  --config FILE     what is entitled (flowlift-controller.yang); default
                    ${mockConfigFile()}
  --admin ADDRESS   where /flows, /events, /metrics, /audit, /faults are (default ${ADMIN_DEFAULT})
  --token TOKEN     what they want as bearer token (default: drawn and told)
  --encoding E      xml: offer no CBOR (default cbor: speak it with whoever offers it too)

faults, also to be changed by POST /faults while it runs:
${faults.join("")}`;
}

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const faultFlags = FAULTS.map(([flag]) => flag);
  const values = ["settings", "listen", "config", "admin", "token", "encoding", ...faultFlags];
  const flags = parseFlags(args, { values, switches: ["mock", "help"], positionalsMax: 0 }, USAGE);
  if (flags.switches.has("help")) {
    process.stdout.write(formatHelp());
    return EXIT_HELD;
  }
  const file = flags.values["settings"];
  if (flags.switches.has("mock") === (file !== undefined)) {
    throw new FlowliftError("USAGE", `Either "--settings" or "--mock" is needed; usage: ${USAGE}`);
  }
  if (file === undefined) return runWithFaults(flags);
  const settings = readControllerSettings(file);
  const onReady = (addresses: ControllerAddresses): void => {
    process.stdout.write(`READY ${JSON.stringify(addresses)}\n`);
  };
  await runController(settings, createLog("controller"), onReady, waitForStop());
  return EXIT_HELD;
}

async function runWithFaults({ values }: ParsedFlags): Promise<number> {
  const listen = values["listen"];
  if (listen === undefined || !/^unix:./.test(listen)) {
    throw new FlowliftError("USAGE", `"--mock" needs "--listen unix:PATH"; usage: ${USAGE}`);
  }
  const faults: Record<string, number> = {};
  for (const [flag, name] of FAULTS) {
    if (values[flag] !== undefined) faults[name] = Number(values[flag]);
  }
  const { config, token, encoding = "cbor" } = values;
  if (encoding !== "xml" && encoding !== "cbor") {
    throw new FlowliftError("USAGE", `"--encoding" takes "xml" or "cbor"; usage: ${USAGE}`);
  }
  const options = {
    socketPath: listen.slice("unix:".length),
    adminAddress: values["admin"] ?? ADMIN_DEFAULT,
    faults,
    encoding: encoding === "xml" ? ("xml" as const) : ("cbor" as const),
    ...(config === undefined ? {} : { configFile: config }),
    ...(token === undefined ? {} : { token }),
  };
  await runMock(options, createLog("controller"), explain, waitForStop());
  return EXIT_HELD;
}

function explain(addresses: MockAddresses): void {
  const sockets = Object.entries(addresses.sockets);
  const lines = [
    "mock controller: no packet is forwarded, every flow that is entitled is granted",
    ...sockets.map(([vm, path]) => `  ${vm}: point the appliance's offload port at unix ${path}`),
    `  curl -H 'Authorization: Bearer ${addresses.token}' ${addresses.admin}/flows`,
    `  curl -H 'Authorization: Bearer ${addresses.token}' -H 'content-type: application/json' \\`,
    `       -d '{"delayMs":200,"refuseShare":0.1}' ${addresses.admin}/faults`,
  ];
  process.stderr.write(`${lines.join("\n")}\n`);
  process.stdout.write(`READY ${JSON.stringify(addresses)}\n`);
}
