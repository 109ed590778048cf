/** Every Python recipe of the documents, run as an operator would, and what it does to packets. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Lab } from "../../src/lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import { startLab } from "../../src/lab/start-lab.ts";
import {
  type RunningTraffic,
  runTraffic,
  startTraffic,
} from "../../src/lab/traffic/run-traffic.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { LabCli } from "../support/lab-cli.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

const PYTHON = "/usr/bin/python3";
const DOCUMENTS = ["README.md", "docs/configuration.md"];
const WWW = "192.0.2.100";
const REAL3_V6 = "fd00:0:0:1::103";
const HELD = 5;
const ACTIVE_DEADLINE_MS = 15_000;

const root = findProjectRoot();
const cli = new LabCli();
const folder = mkdtempSync(join(tmpdir(), "fl-recipes-"));
const recipes = readRecipes();
const executed = new Set<string>(["connect"]);
let lab: Lab;
const servers: RunningTraffic<"http-server" | "dns-server">[] = [];

/** Returns the marked blocks by name; every block must be marked, and names are given once. */
function readRecipes(): Map<string, string> {
  const found = new Map<string, string>();
  for (const document of DOCUMENTS) {
    const text = readFileSync(join(root, document), "utf8");
    for (const [, block = ""] of text.matchAll(/^```python\n([\s\S]*?)^```/gm)) {
      const name = /^# recipe: (\S+)\n/.exec(block)?.[1];
      if (name === undefined || found.has(name)) {
        throw new Error(`${document}: a Python block has no name of its own: ${block}`);
      }
      found.set(name, block);
    }
  }
  return found;
}

function textOf(recipe: string): string {
  const text = recipes.get(recipe);
  if (text === undefined) throw new Error(`There is no recipe "${recipe}"`);
  executed.add(recipe);
  return text;
}

/** Returns what a program that follows `connect()` prints. */
function runPython(text: string, ...args: string[]): string {
  const program = `${textOf("connect")}\n${text}`;
  const done = spawnSync(PYTHON, ["-c", program, ...args], { cwd: folder, encoding: "utf8" });
  expect(done.stderr).toBe("");
  expect(done.status).toBe(0);
  return done.stdout;
}

function runRecipe(name: string): string {
  return runPython(textOf(name));
}

/** Runs a recipe without blocking this process, which supervises the lab. */
async function runRecipeMeanwhile(name: string): Promise<string> {
  const program = `${textOf("connect")}\n${textOf(name)}`;
  const child = spawn(PYTHON, ["-c", program], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect(code).toBe(0);
  return text;
}

function readConfig(source: string, name: string, space: string): string {
  const script = join(root, "test/system/clients/recipes_config.py");
  return runPython(readFileSync(script, "utf8"), source, name, space);
}

/** Asks a web server from a machine of red; small, and short of patience. */
async function fetchFrom(machine: string, target: string, port: number, connections = 1) {
  const options = { target, port, connections, parallel: 1, timeoutMs: 1_000 };
  return await runTraffic(lab, `red/${machine}`, "http-client", options);
}

async function askDns(): Promise<number> {
  const options = { target: REAL3_V6, port: 53, queries: 2, timeoutMs: 1_000 };
  return (await runTraffic(lab, "red/outsider", "dns-client", options)).answered;
}

/** Returns the text between the first `<name>` after `start` and its end. */
function leafAfter(xml: string, start: string, name: string): string {
  const at = xml.indexOf(start);
  expect(at, `${start} in ${xml}`).toBeGreaterThanOrEqual(0);
  return new RegExp(`<${name}>([^<]*)<`).exec(xml.slice(at))?.[1] ?? "";
}

beforeAll(async () => {
  lab = await startLab(readLabFile(defaultLabFile()), {
    name: cli.name,
    runDirectory: cli.runDirectory,
    distDirectory: LAB_DIST_DIRECTORY,
    log: SILENT_LOG,
  });
  writeFileSync(join(folder, "lab.json"), JSON.stringify(lab.description));
  for (const name of ["www", "real1", "real2", "real3"]) {
    servers.push(await startTraffic(lab, `red/${name}`, "http-server", { port: 80, name }));
  }
  servers.push(await startTraffic(lab, "red/real3", "dns-server", { port: 53 }));
});

afterAll(async () => {
  for (const server of servers) server.kill();
  await lab.stop();
  cli.dispose();
  rmSync(folder, { recursive: true, force: true });
});

test("nat: hosts leave by the new address, and its port 8081 leads to the server", async () => {
  expect(await fetchFrom("outsider", "198.51.100.17", 8081)).toMatchObject({
    failedConnections: 1,
  });
  runRecipe("nat");
  const forwarded = await fetchFrom("outsider", "198.51.100.17", 8081);
  expect(forwarded).toMatchObject({ failedConnections: 0, servers: { real2: 1 } });
  for (const client of ["client1", "client2"]) {
    const { seenAs } = await fetchFrom(client, WWW, 80, 4);
    expect(seenAs).toEqual({ "198.51.100.17": 4 });
  }
});

test("firewall: the client is rejected, others are not, and the outside reaches the DNS server", async () => {
  expect(await askDns()).toBe(0);
  runRecipe("firewall");
  expect(await askDns()).toBe(2);
  const rejected = await fetchFrom("client2", WWW, 80);
  expect(rejected).toMatchObject({ failedConnections: 1, errors: { ECONNREFUSED: 1 } });
  expect(await fetchFrom("client1", WWW, 80)).toMatchObject({ failedConnections: 0 });
});

test("balancer: one connection of four goes to the first server, three to the second", async () => {
  expect(await fetchFrom("outsider", "198.51.100.80", 8082)).toMatchObject({
    failedConnections: 1,
  });
  runRecipe("balancer");
  const { servers: shares } = await fetchFrom("outsider", "198.51.100.80", 8082, 8);
  expect(shares).toEqual({ real1: 2, real2: 6 });
});

test("state: shows what these connections counted", () => {
  const state = runRecipe("state");
  expect(Number(leafAfter(state, "<ace-statistics><name>client2<", "matched-packets"))).toBe(1);
  expect(leafAfter(state, "<real-server><name>one<", "connections")).toBe("2");
  expect(leafAfter(state, "<real-server><name>two<", "connections")).toBe("6");
  expect(Number(leafAfter(state, "<traffic-statistics>", "sent-packets"))).toBeGreaterThan(0);
  expect(leafAfter(state, "<offload-state ", "session")).toBe("up");
});

test("lock, discard and refusal: say why, and change nothing", () => {
  const balancer = () => readConfig("running", "load-balancer", "urn:flowlift:load-balancer");
  const before = balancer();
  expect(runRecipe("lock")).toMatch(/^lock-denied .*<session-id>[1-9]/);
  runRecipe("discard");
  expect(runRecipe("refusal")).toMatch(/^invalid-value \S*real-server\S*:weight .*"0"/);
  expect(balancer()).toBe(before);
  expect(readConfig("candidate", "load-balancer", "urn:flowlift:load-balancer")).toBe(before);
});

test("delete and real-server-off: take the port forward and the server away", async () => {
  expect(await fetchFrom("outsider", "198.51.100.16", 8080)).toMatchObject({
    servers: { real1: 1 },
  });
  runRecipe("delete");
  expect(await fetchFrom("outsider", "198.51.100.16", 8080)).toMatchObject({
    failedConnections: 1,
  });
  runRecipe("real-server-off");
  const { servers: shares } = await fetchFrom("outsider", "198.51.100.80", 80, 6);
  expect(shares).toEqual({ real1: 2, real2: 4 });
});

test("offload-policy, offload-state and late: flows are seen, and named when nobody confirms", async () => {
  runRecipe("offload-policy");
  const held = await startTraffic(lab, "red/client1", "http-client", {
    target: WWW,
    port: 80,
    connections: HELD,
    parallel: HELD,
    requestsPerConnection: 100_000,
    pauseMs: 20,
    timeoutMs: 1_500,
  });
  const deadline = performance.now() + ACTIVE_DEADLINE_MS;
  let active = 0;
  while (active < HELD && performance.now() < deadline) {
    active = Number(/^active (\d+)$/m.exec(await runRecipeMeanwhile("offload-state"))?.[1]);
  }
  expect(active).toBeGreaterThanOrEqual(HELD);
  lab.signalProcess("controller", "SIGSTOP");
  const late = await runRecipeMeanwhile("late").finally(() => {
    lab.signalProcess("controller", "SIGCONT");
  });
  expect(late.match(/192\.0\.2\.100/g)?.length).toBeGreaterThanOrEqual(HELD);
  const { failedConnections } = await held.result;
  expect(failedConnections).toBe(HELD);
  expect(await fetchFrom("client1", WWW, 80)).toMatchObject({ failedConnections: 1 });
});

test("startup and back-to-startup: what was copied lasts, what was not is gone", () => {
  runRecipe("startup");
  const startup = readConfig("startup", "load-balancer", "urn:flowlift:load-balancer");
  expect(leafAfter(startup, "<name>api<", "scheduler")).toBe("source-hash");
  const policy = (source: string) => readConfig(source, "offload-policy", "urn:flowlift:zones");
  const before = policy("running");
  runPython(
    "with connect() as s: change(s, '<offload-policy xmlns=\"urn:flowlift:zones\"><enabled>false</enabled></offload-policy>')",
  );
  expect(policy("running")).toContain("<enabled>false<");
  expect(policy("startup")).toBe(before);
  runRecipe("back-to-startup");
  expect(policy("running")).toBe(before);
});

test("schema: is the module; and no recipe of the documents is left untried", () => {
  const module = readFileSync(join(root, "yang/flowlift-load-balancer.yang"), "utf8");
  expect(runRecipe("schema").trim()).toBe(module.trim());
  expect([...executed].toSorted()).toEqual([...recipes.keys()].toSorted());
});
