/** Labs as a user starts, sees and stops them; real namespaces, real processes. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LabDescription } from "../../src/lab/description.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import { startLab } from "../../src/lab/start-lab.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { LabCli } from "../support/lab-cli.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

let cli: LabCli;
beforeEach(() => {
  cli = new LabCli();
});
afterEach(() => cli.dispose());

/** Writes a changed copy of the default lab file. */
function writeLabFile(change: (text: string) => string): string {
  const file = join(cli.folder, "lab.yaml");
  writeFileSync(file, change(readFileSync(defaultLabFile(), "utf8")));
  return file;
}

/** Starts a lab whose processes are shells that say READY. */
function startStandIns() {
  return startLab(readLabFile(defaultLabFile()), {
    name: cli.name,
    runDirectory: cli.runDirectory,
    log: SILENT_LOG,
    programWordsOf: () => ["sh", "-c", "echo READY; exec sleep 600"],
  });
}

test("up, status and down: the JSON has the promised fields, and nothing is left", () => {
  const up = cli.run("up", "--name", cli.name, "--json");
  expect(up).toMatchObject({ code: 0 });
  const lab = JSON.parse(up.stdout) as LabDescription;
  expect(lab.appliances.map(({ tenant, name }) => `${tenant}/${name}`)).toEqual([
    "red/gw",
    "blue/gw",
  ]);
  for (const { netns, netconf, serialSocket } of lab.appliances) {
    expect(readdirSync("/run/netns")).toContain(netns);
    expect(netconf).toMatchObject({ host: "127.0.0.1", user: "admin" });
    expect(netconf?.hostKey).toMatch(/^ssh-ed25519 AAAA/);
    expect(existsSync(netconf?.keyFile ?? "")).toBe(true);
    expect(existsSync(serialSocket)).toBe(true);
  }
  expect(lab.hosts.length).toBe(14);
  for (const { netns, addresses, mac } of lab.hosts) {
    expect(readdirSync("/run/netns")).toContain(netns);
    expect(addresses.length).toBe(2);
    expect(mac).toMatch(/^02(:[0-9a-f]{2}){5}$/);
  }
  expect(lab.controller?.adminUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(existsSync(lab.controller?.tokenFile ?? "")).toBe(true);

  const status = cli.run("status", "--json");
  expect(status).toMatchObject({ code: 0 });
  const { labs } = JSON.parse(status.stdout) as { labs: { processes: { state: string }[] }[] };
  expect(labs[0]?.processes.map((process) => process.state)).toEqual(Array(9).fill("ready"));

  const second = cli.run("up", "--name", cli.name);
  expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining("runs already") });
  expect(cli.run("down", "--name", cli.name)).toMatchObject({ code: 0 });
  expect(cli.listLeftovers()).toEqual([]);
  expect(cli.run("status")).toMatchObject({ code: 0, stdout: "no lab\n" });
});

test("packets pass the appliances of both tenants at the same time", async () => {
  const up = cli.run("up", "--name", cli.name, "--json");
  expect(up).toMatchObject({ code: 0 });
  const { hosts } = JSON.parse(up.stdout) as LabDescription;
  const namespaceOf = (tenant: string, name: string) =>
    hosts.find((host) => host.tenant === tenant && host.name === name)?.netns;
  const { execFileSync, spawn } = await import("node:child_process");
  for (const tenant of ["red", "blue"]) {
    const inside = (name: string, ...argv: string[]) =>
      execFileSync("ip", ["netns", "exec", namespaceOf(tenant, name) ?? "", ...argv], {
        encoding: "utf8",
      });
    for (const address of ["192.0.2.100", "2001:db8:0:1::100"]) {
      expect(inside("client1", "ping", "-c3", "-i0.2", "-W2", address)).toContain(
        " 0% packet loss",
      );
    }
    // The server answers with whom it saw: an address of the tenant's pool.
    const server =
      "const s=require('net').createServer(c=>c.end(c.remoteAddress));s.listen(80,()=>console.log('up'))";
    const words = ["netns", "exec", namespaceOf(tenant, "www") ?? "", process.execPath];
    const child = spawn("ip", [...words, "-e", server], { stdio: ["ignore", "pipe", "ignore"] });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const client =
      "const c=require('net').connect(80,'192.0.2.100');c.setTimeout(5000,()=>c.destroy());c.pipe(process.stdout)";
    expect(inside("client1", process.execPath, "-e", client)).toMatch(/198\.51\.100\.1[67]$/);
    child.kill("SIGKILL");
  }
});

test.each([
  ["a name", (text: string) => text.replace("name: client1\n", "nmae: client1\n"), "nmae"],
  ["YAML itself", (text: string) => text.replace("tenant:\n", "tenant: [\n"), ":7:"],
  [
    "an appliance's configuration",
    (text: string) => text.replace("weight: 2", "weight: 0"),
    "weight",
  ],
])(
  "a mistake in %s is refused with file and line before anything is made",
  (_what, change, word) => {
    const file = writeLabFile(change);
    const outcome = cli.run("up", "--name", cli.name, "--file", file);
    expect(outcome).toMatchObject({ code: 2, stdout: "" });
    expect(outcome.stderr).toMatch(/lab\.yaml:\d+: /);
    expect(outcome.stderr).toContain(word);
    expect(outcome.stderr).not.toContain("    at ");
    expect(cli.listLeftovers()).toEqual([]);
  },
);

test("a port in use is named, and what was made before is removed", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const file = writeLabFile((text) =>
    text.replace("- name: gw\n", `- name: gw\n          netconf-port: ${port}\n`),
  );
  const outcome = cli.run("up", "--name", cli.name, "--file", file);
  server.close();
  expect(outcome).toMatchObject({ code: 1, stdout: "" });
  expect(outcome.stderr).toContain(`Cannot listen on 127.0.0.1 port ${port}`);
  expect(outcome.stderr).not.toContain("    at ");
  expect(cli.listLeftovers()).toEqual([]);
});

test("the project may lie where only root can go", () => {
  const hidden = join(cli.folder, "hidden");
  const project = join(hidden, "project");
  const name = ["--name", cli.name, "--run-directory", cli.runDirectory];
  const up = ["up", ...name, "--dist-directory", LAB_DIST_DIRECTORY, "--processes", "agent,bridge"];
  const lab = (...args: string[]) =>
    [process.execPath, join(project, LAB_DIST_DIRECTORY, "cli", "main.js"), "lab", ...args].join(
      " ",
    );
  const script = [
    "set -e",
    `mkdir -m 0700 ${hidden}`,
    `mkdir ${project}`,
    `mount -n --bind ${findProjectRoot()} ${project}`,
    lab(...up),
    lab("down", ...name),
  ].join("\n");
  const { status, stderr } = spawnSync("unshare", ["--mount", "sh", "-c", script], {
    encoding: "utf8",
  });
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(cli.listLeftovers()).toEqual([]);
});

test("a namespace of somebody else is neither used nor removed", () => {
  const taken = `fl-${cli.name}-red-gw`;
  spawnSync("ip", ["netns", "add", taken]);
  const outcome = cli.run("up", "--name", cli.name);
  const left = cli.listLeftovers();
  spawnSync("ip", ["netns", "del", taken]);
  expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining(`"${taken}" exists`) });
  expect(left).toEqual([taken]);
});

test.each([
  [["sideways"], "Say what to do with the lab"],
  [["up", "--colour"], "--colour"],
  [["up", "--name", "Capital"], "cannot name a lab"],
  [["up", "--processes", "bridge,toaster"], "toaster"],
])("flowlift lab %j is a usage error", (args, words) => {
  const outcome = cli.run(...args);
  expect(outcome).toMatchObject({ code: 2, stdout: "" });
  expect(outcome.stderr).toContain(words);
});

test("a process that is killed starts again; one that is stopped stays down", async () => {
  const lab = await startStandIns();
  try {
    const find = (name: string) => lab.listProcesses().find((entry) => entry.name === name);
    const first = find("bridge")?.record?.pid;
    lab.signalProcess("bridge", "SIGKILL");
    while (find("bridge")?.record?.pid === first) await new Promise((r) => setTimeout(r, 10));
    await lab.waitReady("bridge");
    expect(find("bridge")).toMatchObject({ state: "ready", restartCount: 1 });

    await lab.stopProcess("bridge");
    expect(find("bridge")).toMatchObject({ state: "stopped" });
    await lab.startProcess("bridge");
    expect(find("bridge")).toMatchObject({ state: "ready" });
    await expect(lab.stopProcess("toaster")).rejects.toThrow('no process "toaster"');
  } finally {
    await lab.stop();
  }
  expect(cli.listLeftovers()).toEqual([]);
});

test("an appliance sees no files but its own; a host's program is nobody", async () => {
  const seen: string[] = [];
  const lab = await startLab(readLabFile(defaultLabFile()), {
    name: cli.name,
    runDirectory: cli.runDirectory,
    log: SILENT_LOG,
    programWordsOf: ({ vm, kind }) => {
      if (kind === "bridge" || kind === "controller") {
        const agent = `${cli.runDirectory}/labs/${cli.name}/agent`;
        return ["sh", "-c", `cat ${agent}/settings.json >&2; echo READY; exec sleep 600`];
      }
      const list = `find ${cli.runDirectory}/labs -mindepth 2 -maxdepth 3 >&2; hostname >&2;`;
      return ["sh", "-c", `${vm === undefined ? "" : list} echo READY; exec sleep 600`];
    },
  });
  try {
    for (const kind of ["data", "manage", "helper"]) {
      const log = join(lab.description.logDirectory, `red-gw-${kind}.log`);
      seen.push(...readFileSync(log, "utf8").trim().split("\n"));
    }
    const own = join(cli.runDirectory, "labs", cli.name, "vms");
    expect(new Set(seen)).toEqual(new Set([own, join(own, "red-gw"), "red-gw"]));

    const readLog = (name: string) =>
      readFileSync(join(lab.description.logDirectory, `${name}.log`), "utf8");
    expect(readLog("bridge")).toContain("Permission denied");
    expect(readLog("controller")).toContain("agent.sock");

    const outcome = await lab.run("blue/client1", ["cat", "/proc/self/status"]);
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(outcome.stdout).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(outcome.stdout).toMatch(/^CapEff:\t0{16}$/m);
    expect(outcome.stdout).toMatch(/^NoNewPrivs:\t1$/m);
    await expect(lab.run("green/client1", ["true"])).rejects.toThrow('no machine "green/client1"');
    const slow = lab.run("red/client1", ["sleep", "60"], { timeoutMs: 100 });
    await expect(slow).rejects.toThrow("did not end within 100 ms");
  } finally {
    await lab.stop();
  }
});
