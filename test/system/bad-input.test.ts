/** Bad input at the command line: a clear line, the documented exit code, no stack, nothing left behind. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EXIT_CLAIM_FAILED, EXIT_ENVIRONMENT, EXIT_USAGE } from "../../src/lib/base/exit-code.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { initControllerPki, issueBridgePki } from "../../src/lib/pki/store.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";
import { CERTIFICATES, ENVIRONMENT, FILES, PORTS, WORDS } from "./bad-input-cases.ts";
import { at, folder, GOOD, HOST, type Place, withSettings, write } from "./bad-input-site.ts";

const MAIN = join(findProjectRoot(), LAB_DIST_DIRECTORY, "cli", "main.js");
/** A process that does not end by itself was not stopped by its failure. */
const ENDS_WITHIN_MS = 10_000;
const LONG_AGO = new Date("2020-01-01T00:00:00Z");
let busy: Server;
let place: Place;

beforeAll(async () => {
  initControllerPki(at("pki"));
  issueBridgePki(at("pki"), HOST);
  initControllerPki(at("foreign"));
  issueBridgePki(at("foreign"), HOST);
  initControllerPki(at("old"), { now: LONG_AGO });
  issueBridgePki(at("old"), HOST, { now: LONG_AGO });
  mkdirSync(at("pins"));
  mkdirSync(at("made"));
  busy = createServer();
  await new Promise<void>((resolve) => busy.listen(0, "127.0.0.1", resolve));
  place = { folder, busyPort: (busy.address() as { port: number }).port };
});

afterAll(() => {
  busy.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program as a user does; `words` come before it. */
async function run(args: readonly string[], words: readonly string[] = []): Promise<Outcome> {
  const [file = "", ...rest] = [...words, process.execPath, MAIN, ...args];
  const child = spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), ENDS_WITHIN_MS);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  return { code, stdout, stderr };
}

/** One line of the program's own says it; what a library or the log said before may stand above. */
function expectRefusal(outcome: Outcome, code: number, words: string | RegExp): void {
  expect(outcome).toMatchObject({ code, stdout: "" });
  const own = outcome.stderr.split("\n").filter((line) => line.startsWith("flowlift: "));
  expect(own.length, outcome.stderr).toBe(1);
  expect(outcome.stderr.endsWith(`${own[0]}\n`)).toBe(true);
  expect(own[0]).toMatch(words);
  expect(outcome.stderr).not.toMatch(/^\s+at /m);
}

/** Sockets, state and pins that a refused start has made. */
function listMade(): string[] {
  const names = readdirSync(at("made"), { recursive: true }) as string[];
  return [...names.filter((name) => name.endsWith(".sock")), ...readdirSync(at("pins"))];
}

test.each(Object.keys(GOOD))("%s: a settings file that cannot be used is named", async (name) => {
  const missing = at("none.json");
  expectRefusal(await run([name, "--settings", missing]), EXIT_USAGE, /none\.json.*ENOENT/);
  const noJson = write("no.json", "{ nope");
  expectRefusal(await run([name, "--settings", noJson]), EXIT_USAGE, "no.json");
  expectRefusal(await run(withSettings(name, [])), EXIT_USAGE, "object");
  expectRefusal(await run([name]), EXIT_USAGE, /--settings.*usage: flowlift /);
  expectRefusal(await run([name, "--settngs", "x"]), EXIT_USAGE, "--settngs");
  expect(listMade()).toEqual([]);
});

const WRONG_MEMBERS = Object.entries(GOOD).flatMap(([name, good]) =>
  Object.keys(good())
    .filter((member) => !["flowsMax"].includes(member))
    .map((member) => [name, member] as const),
);

test("every setting of a wrong type is named, whoever reads it", async () => {
  expect(WRONG_MEMBERS.length).toBeGreaterThan(20);
  for (const [name, member] of WRONG_MEMBERS) {
    const settings = { ...GOOD[name]?.(), [member]: 7 };
    expectRefusal(await run(withSettings(name, settings)), EXIT_USAGE, `"${member}"`);
  }
  expect(listMade()).toEqual([]);
});

/** Nothing of these may touch the machine's own namespace, should it start against all hope. */
const APART = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];

for (const [what, code, words, args, before = []] of [
  ...CERTIFICATES,
  ...FILES,
  ...WORDS,
  ...PORTS,
]) {
  test(`${what}: exit ${code}`, async () => {
    expectRefusal(await run(args(place), before), code, words);
    expect(listMade()).toEqual([]);
  });
}

for (const [what, code, words, args, before = []] of ENVIRONMENT) {
  test(`${what}: exit ${code}`, async () => {
    expectRefusal(await run(args(place), [...APART, ...before]), code, words);
    expect(listMade()).toEqual([]);
  });
}

test("a file in the way of a mock's socket is still there", () => {
  expect(existsSync(at("precious"))).toBe(true);
});

test("the codes are those of the catalogue", () => {
  expect([EXIT_CLAIM_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT]).toEqual([1, 2, 3]);
});
