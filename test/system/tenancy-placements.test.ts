/** A real controller and a real bridge: what NETCONF changes, the bridge opens and closes, over restarts of both. */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { ControllerSite, MAIN, type Running } from "../controller/controller-process.ts";
import { BridgeSite } from "../offload-bridge/bridge-site.ts";
import { eventually } from "../serial/eventually.ts";

const EMPTY = { "flowlift-controller:controller": { host: [{ name: "host-1" }] } };
const TENANT = {
  name: "green",
  segment: [{ name: "inside", prefix: ["10.0.0.0/24"] }],
};
const VNIC = "52:54:00:00:00:01=inside@tap1";

let controller: ControllerSite;
let bridge: BridgeSite;
let ports = "";

beforeEach(() => {
  controller = new ControllerSite({ netconf: { address: "127.0.0.1:0" } });
  controller.writeConfig(EMPTY);
  bridge = new BridgeSite(controller.pki);
  ports = join(bridge.folder, "ports");
  mkdirSync(ports);
  chmodSync(ports, 0o777); // The bridge is `nobody` here.
});
afterEach(async () => {
  await bridge.dispose();
  await controller.dispose();
});

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function flowlift(words: readonly string[], stdin = ""): Promise<Outcome> {
  const connection = join(controller.directory, "run", "netconf.json");
  const child = spawn(process.execPath, [MAIN, ...words, "--connection", connection]);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
  child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
  child.stdin.end(stdin);
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stdout, stderr })));
}

async function must(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await flowlift(words);
  if (code !== 0) throw new Error(`${words.join(" ")}: ${stderr}`);
  return stdout;
}

function tenantFile(changes: object = {}): string {
  const file = join(controller.directory, "tenant.json");
  writeFileSync(file, JSON.stringify({ ...TENANT, ...changes }));
  return file;
}

async function startBridge(running: Running): Promise<ReturnType<BridgeSite["start"]>> {
  const settings = { vms: [], socketDirectory: ports };
  bridge.writeSettings(running.ready["grpc"] ?? "", settings);
  const process = bridge.start();
  expect(await process.ready).toBe(true);
  return process;
}

async function attach(name: string, socket: string, vnic = VNIC): Promise<Outcome> {
  const words = ["--socket", socket, "--mode", "listen", "--vnic", vnic];
  return flowlift(["vm", "attach", name, ...words]);
}

test("keys are made at the first run, for the owner alone; nobody else gets in", async () => {
  const running = await controller.start();
  const state = join(controller.directory, "state");
  for (const name of ["operator_ed25519", "ssh_host_ed25519_key"]) {
    expect(statSync(join(state, name)).mode & 0o077).toBe(0);
  }
  expect(await must("tenant", "list")).not.toContain("green");
  const key = readFileSync(join(state, "operator_ed25519"));
  running.child.kill("SIGTERM");
  await running.exited;
  await controller.start();
  expect(readFileSync(join(state, "operator_ed25519")).equals(key)).toBe(true);
  expect(await must("tenant", "list", "--json")).toBe('{"tenants":[]}\n');
  writeFileSync(join(state, "authorized_keys"), "# nobody\n");
  expect((await flowlift(["tenant", "list"])).code).not.toBe(0);
});

test("the bridge opens a placed socket and closes it again, over restarts of both", async () => {
  const first = await controller.start();
  await startBridge(first);
  const socket = join(ports, "green.sock");
  await must("tenant", "add", tenantFile());
  expect(await attach("green/gw", socket)).toMatchObject({ code: 0 });
  await eventually(() => expect(existsSync(socket)).toBe(true));

  // The configuration outlives the controller, and the bridge needs it for nothing that is open.
  first.child.kill("SIGKILL");
  await first.exited;
  expect(existsSync(socket)).toBe(true);
  const settings = JSON.parse(readFileSync(controller.settingsFile, "utf8"));
  const address = first.ready["grpc"];
  writeFileSync(controller.settingsFile, JSON.stringify({ ...settings, grpc: { address } }));
  const second = await controller.start();
  expect(await must("vm", "list")).toContain("green/gw");
  const again = await startBridge(second).catch(() => undefined); // Another one of the same host.
  again?.child.kill("SIGTERM");

  await must("vm", "detach", "green/gw");
  await eventually(() => expect(existsSync(socket)).toBe(false), 5_000);
  await must("tenant", "remove", "green");
  expect(await must("tenant", "list", "--json")).toBe('{"tenants":[]}\n');
  const ids = JSON.parse(readFileSync(join(controller.directory, "state", "ids.json"), "utf8"));
  expect(JSON.stringify(ids)).not.toMatch(/green|tap1/);
});

test("a socket outside the bridge's directory is not opened, and the operator is told", async () => {
  const running = await controller.start();
  await startBridge(running);
  await must("tenant", "add", tenantFile());
  const outside = join(bridge.folder, "secret.sock");
  expect(await attach("green/gw", outside)).toMatchObject({ code: 0 });
  await eventually(async () => expect(await must("vm", "list")).toMatch(/refused: .*is not below/));
  expect(existsSync(outside)).toBe(false);
});

test("what cannot hold is refused in words, and changes nothing", async () => {
  await controller.start();
  await must("tenant", "add", tenantFile());
  const again = await flowlift(["tenant", "add", tenantFile()]);
  expect(again).toMatchObject({ code: 1 });
  expect(again.stderr).toMatch(/Cannot add the tenant "green"/);
  expect(await must("tenant", "add", tenantFile(), "--merge")).toContain("green");
  const port = [{ host: "host-2", interface: "p", segment: "inside" }];
  const stray = await flowlift(["tenant", "add", tenantFile({ name: "blue", port })]);
  expect(stray.stderr).toMatch(/no host "host-2"/);
  await must("tenant", "add", tenantFile({ name: "red" }));
  expect(await attach("green/gw", "/run/a.sock")).toMatchObject({ code: 0 });
  for (const [outcome, words] of [
    [await attach("red/gw", "/run/b.sock"), /belongs to segment green\/inside/],
    [await attach("red/gw", "/run/a.sock", "52:54:00:00:00:02=inside@tap2"), /the same socket/],
    [await attach("red/gw", "/run/b.sock", "52:54:00:00:00:02=other@tap2"), /other|segment/],
    [await attach("blue/gw", "/run/b.sock", "52:54:00:00:00:02=inside@tap2"), /Cannot attach/],
    [await flowlift(["tenant", "remove", "green"]), /has virtual machines/],
    [await flowlift(["tenant", "remove", "blue"]), /no tenant "blue"/],
    [await flowlift(["vm", "detach", "red/gw"]), /no virtual machine/],
  ] as const) {
    expect(outcome.code).not.toBe(0);
    expect(outcome.stderr).toMatch(words);
  }
  const vms = JSON.parse(await must("vm", "list", "--json")) as { vms: { name: string }[] };
  expect(vms.vms).toHaveLength(1);
  await must("tenant", "remove", "green", "--force");
  expect(JSON.parse(await must("vm", "list", "--json"))).toEqual({ vms: [] });
});

const HOOK = join(findProjectRoot(), "examples", "deploy", "libvirt-hook-qemu");

/** The domain that `flowlift deploy libvirt` makes, with the tap that libvirt adds when it starts. */
async function runningDomain(): Promise<string> {
  const words = ["deploy", "libvirt", "--name", "green/gw", "--disk", "/srv/disk.qcow2"];
  const nic = ["--nic", "52:54:00:00:00:01=inside@br0", "--socket-directory", ports];
  const child = spawnSync(process.execPath, [MAIN, ...words, ...nic], { encoding: "utf8" });
  return child.stdout.replace(
    '<model type="virtio"/>',
    '<target dev="tap1"/><model type="virtio"/>',
  );
}

/** As libvirt calls it: guest, operation, sub-operation, extra argument; the domain on standard input. */
function callHook(operation: string, subOperation: string, domain: string): Outcome {
  const program = join(controller.directory, "flowlift");
  writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`, { mode: 0o755 });
  const env = {
    PATH: "/nowhere:/usr/bin:/bin",
    FLOWLIFT: program,
    FLOWLIFT_CONNECTION: join(controller.directory, "run", "netconf.json"),
  };
  const words = [HOOK, "green-gw", operation, subOperation, "-"];
  const { status, stdout, stderr } = spawnSync("sh", words, {
    input: domain,
    env,
    encoding: "utf8",
  });
  return { code: status, stdout, stderr };
}

test("libvirt's hook attaches a domain that started and detaches it when it ended", async () => {
  const running = await controller.start();
  await must("tenant", "add", tenantFile());
  const domain = await runningDomain();
  const silent = { code: 0, stdout: "", stderr: "" };
  const listed = async (): Promise<unknown> => JSON.parse(await must("vm", "list", "--json"));
  for (const [operation, subOperation] of [
    ["prepare", "begin"],
    ["start", "begin"],
    ["started", "begin"],
    ["reconnect", "begin"], // It is there already.
  ] as const) {
    expect(callHook(operation, subOperation, domain)).toEqual(silent);
  }
  const socketPath = join(ports, "green", "gw", "offload.sock");
  const vnics = [{ mac: "52:54:00:00:00:01", segment: "inside", port: "tap1" }];
  expect(await listed()).toMatchObject({
    vms: [{ tenant: "green", name: "gw", socketPath, vnics }],
  });
  for (const operation of ["stopped", "release"]) {
    expect(callHook(operation, "end", domain)).toEqual(silent);
  }
  expect(await listed()).toEqual({ vms: [] });
  expect(callHook("started", "begin", "<domain><name>other</name></domain>")).toEqual(silent);
  running.child.kill("SIGKILL");
  await running.exited;
  expect(callHook("started", "begin", domain).code).toBe(0); // The guest starts all the same.
});
