/** A third tenant comes to a running lab and leaves it: nothing is restarted, nobody else is disturbed, nothing stays. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readAdmin } from "../../src/cli/demo/metrics.ts";
import { connectRemoteDriver } from "../../src/fast-path/remote-driver.ts";
import type { LabDefinition } from "../../src/lab/definition.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import { startLab } from "../../src/lab/start-lab.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { openPinnedMap } from "../../src/lib/bpf/pinned-map.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";
import { activeTcpFlows, DrillTraffic, listFlows, untilOffloaded } from "./drill-site.ts";

/** The promise: from the moment at which its VM answers. */
const OFFLOAD_WITHIN_MS = 10_000;
const MAIN = join(findProjectRoot(), LAB_DIST_DIRECTORY, "cli", "main.js");
const ROOT = "flowlift-controller:controller";

type Data = Record<string, unknown> & { readonly name: string };
interface Config {
  host: { port: { interface: string; tenant: string; segment: string }[] }[];
  tenant: Data[];
}

let lab: Lab;
/** What the controller would have been told of green at its start. */
let green: { tenant: Data; ports: Config["host"][number]["port"] };

/** Red and green are equal but for their names: also their addresses. */
function makeDefinition(): LabDefinition {
  const all = readLabFile(defaultLabFile());
  const red = all.tenants.find(({ name }) => name === "red");
  if (red === undefined) throw new Error("the example has a tenant red");
  return { ...all, adminPort: 0, tenants: [red, { ...red, name: "green" }] };
}

function controllerDirectory(): string {
  return dirname(lab.description.controller?.tokenFile ?? "");
}

/** Takes green out of what host and controller know, as if they had been started without it. */
async function forgetGreen(): Promise<void> {
  for (const name of ["bridge", "controller"]) await lab.stopProcess(name);
  const directory = controllerDirectory();
  const configFile = join(directory, "config.json");
  const config = JSON.parse(readFileSync(configFile, "utf8")) as Record<string, Config>;
  const { host = [], tenant = [] } = config[ROOT] ?? {};
  const ports = host[0]?.port ?? [];
  const found = tenant.find(({ name }) => name === "green");
  if (found === undefined) throw new Error("green was planned");
  green = { tenant: found, ports: ports.filter((port) => port.tenant === "green") };
  const rest = {
    host: host.map((one) => ({ ...one, port: ports.filter((port) => port.tenant === "red") })),
    tenant: tenant.filter(({ name }) => name === "red"),
  };
  writeFileSync(configFile, JSON.stringify({ [ROOT]: rest }));
  for (const name of readdirSync(join(directory, "state"))) {
    if (!name.includes("operator") && name !== "authorized_keys") {
      rmSync(join(directory, "state", name), { recursive: true });
    }
  }
  const bridgeFile = join(directory, "..", "bridge", "settings.json");
  const bridge = JSON.parse(readFileSync(bridgeFile, "utf8")) as { vms: { tenant: string }[] };
  const vms = bridge.vms.filter((vm) => vm.tenant === "red");
  writeFileSync(bridgeFile, JSON.stringify({ ...bridge, vms }));
  for (const name of ["controller", "bridge"]) await lab.startProcess(name);
}

function flowlift(...words: string[]): string {
  const connection = lab.description.controller?.connectionFile ?? "";
  const argv = [MAIN, ...words, "--connection", connection];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: "utf8" });
  if (status !== 0) throw new Error(`flowlift ${words.join(" ")}: ${status} ${stderr}`);
  return stdout;
}

/** Ends of an appliance's cards, as `--vnic` has them. */
function vnicWords(): string[] {
  const vnics = (green.tenant["virtual-machine"] as { vnic: Record<string, string>[] }[])[0]?.vnic;
  return (vnics ?? []).flatMap(({ mac, segment, port }) => ["--vnic", `${mac}=${segment}@${port}`]);
}

function writeTenantFile(): string {
  const vmPorts = new Set(vnicWords().map((word) => word.split("@")[1]));
  const port = green.ports
    .filter((one) => !vmPorts.has(one.interface))
    .map((one) => ({ host: "lab-host", interface: one.interface, segment: one.segment }));
  const { "virtual-machine": _, ...tenant } = green.tenant;
  const file = join(controllerDirectory(), "..", "green.json");
  writeFileSync(file, JSON.stringify({ ...tenant, port }));
  return file;
}

function greenSocket(): string {
  return lab.description.appliances.find(({ vm }) => vm === "green-gw")?.serialSocket ?? "";
}

/** Files that name green, below the controller's and the bridge's directories; records of the past may. */
function filesNamingGreen(): string[] {
  return ["controller", "bridge"].flatMap((part) => {
    const directory = join(controllerDirectory(), "..", part);
    const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
    return names.filter((name) => {
      if (name.endsWith("audit.jsonl") || name.startsWith("state/datastores/")) return false;
      try {
        return readFileSync(join(directory, name), "utf8").includes("green");
      } catch {
        return false; // A directory or a socket.
      }
    });
  });
}

/** Entries of a pinned map, read as the agent sees the file system. */
function countOf(map: string): number {
  const pid = lab.listProcesses().find(({ name }) => name === "agent")?.record?.pid;
  const pin = `/proc/${pid}/root${lab.description.agent?.pinDirectory}/${map}`;
  let total = 0;
  openPinnedMap(pin).forEachBatch(({ count }) => {
    total += count;
    return true;
  });
  return total;
}

beforeAll(async () => {
  lab = await startLab(makeDefinition(), {
    name: `g${randomBytes(4).toString("hex")}`,
    distDirectory: LAB_DIST_DIRECTORY,
    log: SILENT_LOG,
  });
  await forgetGreen();
}, 60_000);
afterAll(async () => {
  await lab?.stop();
});

test("a tenant that is added to a running lab offloads within 10 s, and leaves nothing when it goes", async () => {
  const red = await DrillTraffic.start(lab, "red");
  await untilOffloaded(lab, "red-gw");
  const handlesOfRed = (await activeTcpFlows(lab, "red-gw")).map(({ handle }) => handle).toSorted();
  const before = readState();
  expect(existsSync(greenSocket())).toBe(false);

  flowlift("tenant", "add", writeTenantFile());
  const greenTraffic = await DrillTraffic.start(lab, "green");
  const words = ["--socket", greenSocket(), "--mode", "listen", ...vnicWords()];
  flowlift("vm", "attach", "green/green-gw", ...words);
  const attachedMs = performance.now();
  await untilOffloaded(lab, "green-gw");
  expect(performance.now() - attachedMs).toBeLessThan(OFFLOAD_WITHIN_MS);
  expect(flowlift("vm", "list")).toMatch(/green\/green-gw +lab-host +connected +\d+/);
  await greenTraffic.moreRounds(3);

  flowlift("vm", "detach", "green/green-gw");
  await assertVmGone();
  await greenTraffic.moreRounds(3); // By the slow path.
  const { failedConnections: failedOfGreen } = await greenTraffic.stop();
  expect([failedOfGreen, greenTraffic.failed, greenTraffic.udpCorrupted]).toEqual([0, 0, 0]);

  flowlift("tenant", "remove", "green");
  expect(flowlift("tenant", "list", "--json")).not.toContain("green");
  expect(filesNamingGreen()).toEqual([]);
  expect(readState()).toEqual(before);

  await red.moreRounds(2);
  expect((await activeTcpFlows(lab, "red-gw")).map(({ handle }) => handle).toSorted()).toEqual(
    handlesOfRed,
  );
  const { failedConnections } = await red.stop();
  expect([failedConnections, red.failed, red.udpCorrupted]).toEqual([0, 0, 0]);
  expect(red.udpLost).toBe(0);
}, 60_000);

/** Numbers and sizes that must be as they were. */
function readState(): object {
  const ids = JSON.parse(readFileSync(join(controllerDirectory(), "state", "ids.json"), "utf8"));
  return { ids, vnics: countOf("flow_vnics"), ingresses: countOf("flow_ingresses") };
}

/** No entry, socket, journal row, pin or metric of the VM. */
async function assertVmGone(): Promise<void> {
  expect(await listFlows(lab, "green-gw")).toEqual([]);
  expect(await readAdmin(lab, "/vms")).not.toContain("green");
  expect(await readAdmin(lab, "/metrics")).not.toContain("green");
  expect(existsSync(greenSocket())).toBe(false);
  const journal = join(controllerDirectory(), "state", "flows.journal");
  expect(readFileSync(journal, "utf8")).not.toContain("green");
  const driver = await connectRemoteDriver(lab.description.agent?.socketPath ?? "");
  const held = (await driver.listFlows?.()) ?? [];
  const { slots } = await driver.totals();
  await driver.close();
  const [redSlot, ...others] = [...new Set(held.map(({ vmSlot }) => vmSlot))];
  expect(others).toEqual([]);
  expect(slots.map(({ vmSlot }) => vmSlot)).toEqual([redSlot]);
  expect(countOf("flow_keys")).toBeLessThanOrEqual(2 * held.length);
}
