/** Every process has exactly the privileges of the architecture's table: read from /proc. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LabCli } from "../support/lab-cli.ts";

/** linux/capability.h. */
const CAPABILITY_BIT = { net_bind_service: 10, net_admin: 12, net_raw: 13, bpf: 39 } as const;

const EXPECTED = [
  { kind: "manage", uid: 64_001, capabilities: ["net_bind_service"] },
  { kind: "data", uid: 64_002, capabilities: ["net_admin", "net_raw"] },
  { kind: "helper", uid: 0, capabilities: "all" },
  { kind: "bridge", uid: 64_003, capabilities: [] },
  { kind: "controller", uid: 64_004, capabilities: [] },
  { kind: "agent", uid: 64_005, capabilities: ["bpf", "net_admin"] },
] as const;

const cli = new LabCli();
beforeAll(() => {
  expect(cli.run("up", "--name", cli.name)).toMatchObject({ code: 0 });
});
afterAll(() => cli.dispose());

function maskOf(names: readonly (keyof typeof CAPABILITY_BIT)[]): string {
  const mask = names.reduce((sum, name) => sum | (1n << BigInt(CAPABILITY_BIT[name])), 0n);
  return mask.toString(16).padStart(16, "0");
}

function readStatus(pid: number): Record<string, string> {
  const lines = readFileSync(`/proc/${pid}/status`, "utf8").trim().split("\n");
  return Object.fromEntries(lines.map((line) => line.split(":\t") as [string, string]));
}

test.each(EXPECTED)("$kind runs as $uid with $capabilities", ({ kind, uid, capabilities }) => {
  const processes = cli
    .readState()
    .processes.filter(({ name }) => name === kind || name.endsWith(`/${kind}`));
  expect(processes.length).toBe(
    kind === "bridge" || kind === "controller" || kind === "agent" ? 1 : 2,
  );
  for (const { record } of processes) {
    const status = readStatus(record?.pid ?? 0);
    expect(status["Uid"]).toBe([uid, uid, uid, uid].join("\t"));
    expect(status["NoNewPrivs"]).toBe("1");
    if (capabilities === "all") continue;
    const mask = maskOf(capabilities);
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      expect(`${set} ${status[set]}`).toBe(`${set} ${mask}`);
    }
  }
});

test("nothing but the lab's own processes and holders lives in its namespaces", () => {
  const state = cli.readState();
  const known = new Set([
    ...state.holders.map((record) => record.pid),
    ...state.processes.flatMap(({ record }) => (record === undefined ? [] : [record.pid])),
  ]);
  expect(known.size).toBe(state.holders.length + 9);
});
