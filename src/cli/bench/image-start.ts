/**
 * From the start of an appliance's processes to the first packet that it forwards as configured.
 *
 * Effect: a lab in namespaces, whose appliance is stopped and emptied in each round. What is asked for is a
 * connection to the virtual service: without the appliance's rules nobody answers there.
 */
import { dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Lab } from "../../lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../lab/lab-file.ts";
import { startLab } from "../../lab/start-lab.ts";
import { startTraffic } from "../../lab/traffic/run-traffic.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import { findProjectRoot } from "../../lib/base/project-root.ts";
import { type Figure, makeFigure } from "./report.ts";

const LAB_NAME = "bench-start";
const VM = "red-gw";
const VIRTUAL_SERVICE = { address: "198.51.100.80", port: 80 };
const SERVERS = ["real1", "real2", "real3"];
const PROBE_ENTRY = "cli/bench/first-answer.js";
const PROBE_SEC = 30;
/** The start is ordered this long after the probe has begun to knock. */
const KNOCK_MS = 300;

/** Measures `rounds` starts in a lab of its own. */
export async function measureApplianceStart(
  rounds: number,
  announce: (line: string) => void,
): Promise<Figure> {
  const build = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
  const distDirectory = relative(findProjectRoot(), build);
  const all = readLabFile(defaultLabFile());
  const definition = { ...all, tenants: all.tenants.filter(({ name }) => name === "red") };
  const lab = await startLab(definition, { name: LAB_NAME, announce, distDirectory });
  try {
    const servers = SERVERS.map((name) =>
      startTraffic(lab, `red/${name}`, "http-server", { port: 80, name }),
    );
    const running = await Promise.all(servers);
    const seconds: number[] = [];
    for (let round = 0; round < rounds; round++) seconds.push(await timeStart(lab));
    await Promise.all(running.map((server) => server.stop()));
    return makeFigure(
      {
        ...{ id: "appliance-start-to-first-packet", unit: "s" },
        target: { of: "value", bound: "max", at: 1 },
      },
      seconds,
    );
  } finally {
    await lab.stop();
  }
}

/** Both clocks are the machine's monotonic one. */
async function timeStart(lab: Lab): Promise<number> {
  await lab.haltAppliance(VM);
  const answered = waitForAnswer(lab);
  await answered.knocking;
  await new Promise((resolve) => setTimeout(resolve, KNOCK_MS));
  const started = process.hrtime.bigint();
  const start = lab.startAppliance(VM);
  const [at] = await Promise.all([answered.at, start]);
  return Number(at - started) / 1e9;
}

function waitForAnswer(lab: Lab): {
  readonly knocking: Promise<void>;
  readonly at: Promise<bigint>;
} {
  const options = JSON.stringify({ ...VIRTUAL_SERVICE, seconds: PROBE_SEC });
  const child = lab.exec("red/outsider", [...lab.nodeWords(PROBE_ENTRY), options]);
  let settleKnocking: () => void = () => {};
  const knocking = new Promise<void>((resolve) => {
    settleKnocking = resolve;
  });
  const at = new Promise<bigint>((resolve, reject) => {
    if (child.stdout === null) throw new Error("the probe has an output");
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line === "READY") settleKnocking();
      else resolve(BigInt(line));
    });
    child.once("close", () => {
      settleKnocking();
      reject(new FlowliftError("LAB_FAILED", "The virtual service did not answer in time"));
    });
  });
  at.catch(() => {}); // Whoever measures waits for it later.
  return { knocking, at };
}
