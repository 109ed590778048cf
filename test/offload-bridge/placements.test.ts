/** What the bridge does with the placements that the controller tells it. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { ok } from "../../src/lib/base/result.ts";
import { PLACEMENT_RETRY_MS, PlacedLinks } from "../../src/offload-bridge/placed-links.ts";
import { parseBridgeSettings } from "../../src/offload-bridge/settings.ts";
import { resolveSocketPath } from "../../src/offload-bridge/socket-place.ts";
import {
  decodePlacements,
  decodeProblems,
  encodePlacements,
  encodeProblems,
  PLACEMENTS_MAX,
  type Placement,
  type PlacementProblem,
  PROBLEM_BYTES_MAX,
  SOCKET_PATH_BYTES_MAX,
} from "../../src/offload-protocol/placements.ts";
import { NAME_BYTES_MAX } from "../../src/offload-protocol/upstream.ts";

const RED: Placement = { tenant: "red", vm: "gw", socketPath: "/run/red", mode: "connect" };
const BLUE: Placement = { tenant: "blue", vm: "gw", socketPath: "/run/blue", mode: "listen" };

function decoded(list: readonly Placement[]): readonly Placement[] | string {
  const result = decodePlacements(encodePlacements(list));
  return result.ok ? result.value : result.error.message;
}

test("placements and problems come back as they were", () => {
  expect(decoded([RED, BLUE])).toEqual([RED, BLUE]);
  expect(decoded([])).toEqual([]);
  const problems = [{ tenant: "red", vm: "gw", problem: "outside" }];
  expect(decodeProblems(encodeProblems(problems))).toEqual(ok(problems));
});

test("a list has at most PLACEMENTS_MAX entries", () => {
  const list = (count: number): Placement[] =>
    Array.from({ length: count }, (_, index) => ({
      ...RED,
      vm: `v${index}`,
      socketPath: `/${index}`,
    }));
  expect(decoded(list(PLACEMENTS_MAX - 1))).toHaveLength(PLACEMENTS_MAX - 1);
  expect(decoded(list(PLACEMENTS_MAX))).toHaveLength(PLACEMENTS_MAX);
  expect(decoded(list(PLACEMENTS_MAX + 1))).toMatch(/more than/);
});

test.each([
  ["name", NAME_BYTES_MAX, (text: string) => ({ ...RED, tenant: text })],
  ["path", SOCKET_PATH_BYTES_MAX, (text: string) => ({ ...RED, socketPath: text })],
])("a %s of %i bytes is taken, one byte more and none are not", (_, max, make) => {
  const judge = (bytes: number): boolean => typeof decoded([make("x".repeat(bytes))]) !== "string";
  expect([max - 1, max, max + 1, 0].map(judge)).toEqual([true, true, false, false]);
});

test.each([
  ["the same virtual machine twice", [RED, { ...RED, socketPath: "/run/other" }]],
  ["the same socket twice", [RED, { ...BLUE, socketPath: RED.socketPath }]],
  ["an unknown mode", [{ ...RED, mode: "steal" as "listen" }]],
])("a list with %s is refused whole", (_, list) => {
  expect(typeof decoded(list)).toBe("string");
});

test("random bytes never throw, and long problems are cut", () => {
  for (let seed = 0; seed < 500; seed++) {
    const bytes = Buffer.from(
      Array.from({ length: seed % 40 }, (_, at) => (seed * 31 + at * 97) & 0xff),
    );
    decodePlacements(bytes);
    decodeProblems(bytes);
  }
  const long = [{ tenant: "a", vm: "b", problem: "ä".repeat(PROBLEM_BYTES_MAX) }];
  const cut = decodeProblems(encodeProblems(long));
  expect(cut.ok && Buffer.byteLength(cut.value[0]?.problem ?? "")).toBeLessThanOrEqual(
    PROBLEM_BYTES_MAX,
  );
});

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-g-place-"));
  mkdirSync(join(folder, "ports", "red"), { recursive: true });
  mkdirSync(join(folder, "secret"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function place(path: string): string {
  const place = resolveSocketPath(join(folder, "ports") + path, join(folder, "ports"));
  return place.ok ? place.value.slice(folder.length) : place.error.kind;
}

test("a socket must lie below the allowed directory, wherever links lead", async () => {
  symlinkSync(join(folder, "secret"), join(folder, "ports", "out"));
  symlinkSync(join(folder, "ports", "red"), join(folder, "ports", "in"));
  symlinkSync(join(folder, "secret", "x.sock"), join(folder, "ports", "red", "link.sock"));
  writeFileSync(join(folder, "ports", "red", "file"), "");
  const server = createServer().listen(join(folder, "ports", "red", "a.sock"));
  await new Promise((resolve) => server.once("listening", resolve));
  expect(place("/red/a.sock")).toBe("/ports/red/a.sock");
  expect(place("/red/new.sock")).toBe("/ports/red/new.sock");
  expect(place("/in/a.sock")).toBe("/ports/red/a.sock");
  expect(place("/out/a.sock")).toBe("outside");
  expect(place("/../secret/a.sock")).toBe("outside");
  expect(place("/red/../../secret/a.sock")).toBe("outside");
  expect(place("//red/a.sock")).toBe("outside");
  expect(place("s/a.sock")).toBe("outside");
  expect(place("/red/")).toBe("outside");
  expect(place("/red/\0.sock")).toBe("outside");
  expect(place("/red/link.sock")).toBe("not-a-socket");
  expect(place("/red/file")).toBe("not-a-socket");
  expect(place("/blue/a.sock")).toBe("missing");
  server.close();
});

/** Links in memory; adding one that is in `broken` fails. */
class TestLinks {
  readonly open = new Map<string, string>();
  readonly log: string[] = [];
  readonly broken = new Set<string>();
  has(key: string): boolean {
    return this.open.has(key);
  }
  async add(vm: Placement): Promise<void> {
    await Promise.resolve();
    const key = `${vm.tenant}/${vm.vm}`;
    if (this.broken.has(key)) throw new Error("in use");
    this.open.set(key, vm.socketPath);
    this.log.push(`+${key}`);
  }
  async remove(key: string): Promise<void> {
    await Promise.resolve();
    this.open.delete(key);
    this.log.push(`-${key}`);
  }
}

function keep(links: TestLinks): {
  placed: PlacedLinks;
  problems: (readonly PlacementProblem[])[];
} {
  const problems: (readonly PlacementProblem[])[] = [];
  const resolve = (path: string) => ok(path);
  const onProblems = (list: readonly PlacementProblem[]): void => void problems.push(list);
  return { placed: new PlacedLinks({ links, resolve, onProblems, log: SILENT_LOG }), problems };
}

test("links are opened and closed as the list says; those that stay are not touched", async () => {
  const links = new TestLinks();
  const { placed } = keep(links);
  placed.take([RED, BLUE]);
  await placed.settled();
  placed.take([{ ...BLUE }]);
  await placed.settled();
  placed.take([{ ...BLUE, socketPath: "/run/moved" }]);
  await placed.settled();
  expect(links.log).toEqual(["+red/gw", "+blue/gw", "-red/gw", "-blue/gw", "+blue/gw"]);
  await placed.close();
});

test("of many lists that come at once only the newest is carried out", async () => {
  const links = new TestLinks();
  const { placed } = keep(links);
  for (let turn = 0; turn < 100; turn++) placed.take(turn % 2 === 0 ? [RED] : []);
  placed.take([BLUE]);
  await placed.settled();
  expect([...links.open.keys()]).toEqual(["blue/gw"]);
  expect(links.log.length).toBeLessThanOrEqual(3);
  await placed.close();
});

test("a link of the settings file is neither replaced nor closed by the controller", async () => {
  const links = new TestLinks();
  links.open.set("red/gw", "/own");
  const { placed, problems } = keep(links);
  placed.take([RED]);
  await placed.settled();
  placed.take([]);
  await placed.settled();
  expect([...links.open]).toEqual([["red/gw", "/own"]]);
  expect(problems[0]?.[0]?.problem).toMatch(/own settings/);
  expect(problems.at(-1)).toEqual([]);
  await placed.close();
});

test("what cannot be opened is told once, and tried again", async () => {
  const links = new TestLinks();
  links.broken.add("red/gw");
  const { placed, problems } = keep(links);
  placed.take([RED]);
  await placed.settled();
  expect(problems).toEqual([[{ tenant: "red", vm: "gw", problem: "in use" }]]);
  links.broken.clear();
  await new Promise((resolve) => setTimeout(resolve, PLACEMENT_RETRY_MS + 100));
  await placed.settled();
  expect(links.has("red/gw")).toBe(true);
  expect(problems.at(-1)).toEqual([]);
  await placed.close();
});

test.each([
  ["/run/ports", true],
  ["/run/ports/", true],
  ["run/ports", false],
  ["/", false],
  ["/run/../etc", false],
  ["", false],
  [7, false],
])("socketDirectory %j is taken: %s", (socketDirectory, taken) => {
  const settings = parseBridgeSettings(
    JSON.stringify({
      hostName: "host-1",
      controller: { address: "127.0.0.1:1" },
      pkiDirectory: "/p",
      vms: [],
      socketDirectory,
    }),
  );
  expect(settings.ok).toBe(taken);
  if (settings.ok) expect(settings.value.socketDirectory).toBe("/run/ports");
});
