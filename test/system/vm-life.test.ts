/**
 * One real VM and what happens to it: its port is used, it reboots into another image, moves through a
 * file, and loses power in the middle of commits. The tests follow each other on one machine.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Ledger } from "../../src/cli/demo/ledger.ts";
import type { NetconfClient } from "../../src/cli/netconf-client.ts";
import { prepareVms } from "../../src/cli/prepare-vms.ts";
import { ROOT } from "../../src/lab/privileges.ts";
import { startTraffic } from "../../src/lab/traffic/run-traffic.ts";
import type { LabVmOptions } from "../../src/lab/vm/vm-options.ts";
import { campaignSize } from "../support/campaign.ts";
import { listFiles, pemNeedles, scanFile, scanFolder } from "../support/needle-scan.ts";
import { eventually } from "./drill-site.ts";
import { countFastFlows, readElement, SERVER, startVmSite, VM, type VmSite } from "./vm-site.ts";

const BOOT_MS = 300_000;
const PORT = 9000;
const CONNECTIONS = 8;
const ROUND_BYTES = 200_000;
const OFFLOAD_WAIT_MS = 30_000;
const MARK_ACL = "mark";
const NS_ACL = "urn:ietf:params:xml:ns:yang:ietf-access-control-list";
const NS_SYSTEM = "urn:flowlift:system";
const CUTS = campaignSize(3, 30);
/** A commit takes a few tenths of a second under emulation. */
const CUT_AFTER_MS_MAX = 2_500;

let options: LabVmOptions;
let site: VmSite;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "fl-vm-life-"));
  chmodSync(folder, 0o755); // QEMU reads another image from there.
  options = await prepareVms(() => {});
  site = await startVmSite(options);
}, BOOT_MS);
afterAll(async () => {
  await site?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

async function withNetconf<T>(work: (netconf: NetconfClient) => Promise<T>): Promise<T> {
  const netconf = await site.openNetconf();
  try {
    return await work(netconf);
  } finally {
    netconf.close();
  }
}

function formatMark(mark: string): string {
  return (
    `<acls xmlns="${NS_ACL}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">` +
    `<acl nc:operation="replace"><name>${MARK_ACL}</name><aces><ace><name>${mark}</name>` +
    "<actions><forwarding>accept</forwarding></actions></ace></aces></acl></acls>"
  );
}

async function commitMark(netconf: NetconfClient, mark: string): Promise<void> {
  await netconf.edit(formatMark(mark));
  await netconf.commit();
}

async function readMark(netconf: NetconfClient): Promise<string | undefined> {
  const filter = `<filter><acls xmlns="${NS_ACL}"><acl><name>${MARK_ACL}</name></acl></acls></filter>`;
  const reply = await netconf.mustCall(
    `<get-config><source><running/></source>${filter}</get-config>`,
  );
  const aces = /<aces[\s>][\s\S]*<\/aces>/.exec(reply)?.[0] ?? "";
  return readElement(aces, "name");
}

async function readAppliance(netconf: NetconfClient): Promise<string> {
  return await netconf.mustCall(`<get><filter><appliance xmlns="${NS_SYSTEM}"/></filter></get>`);
}

/** Opens connections that live on, and waits until the fast path carries them. */
async function expectOffload(): Promise<void> {
  const { lab } = site;
  const before = await countFastFlows(lab);
  const server = await startTraffic(lab, "red/www", "transfer-server", { port: PORT });
  const client = await startTraffic(lab, "red/client1", "transfer-client", {
    ...{ target: SERVER, port: PORT, connections: CONNECTIONS, rounds: 0, timeoutMs: 60_000 },
    ...{ uploadBytes: ROUND_BYTES, downloadBytes: ROUND_BYTES },
  });
  await client.transferRound();
  await eventually(
    "connections are on the fast path",
    async () => (await countFastFlows(lab)) >= before + CONNECTIONS,
    OFFLOAD_WAIT_MS,
  );
  const { failed } = await client.transferRound();
  expect(failed).toBe(0);
  const { failedConnections } = await client.stop();
  expect(failedConnections).toBe(0);
  await server.stop();
}

test("a VM with two data NICs and no other answers NETCONF through its management port", async () => {
  const words = readFileSync(`/proc/${qemuPid()}/cmdline`, "latin1").split("\0");
  expect(words.filter((word) => word === "-netdev")).toHaveLength(2);
  const status = readFileSync(`/proc/${qemuPid()}/status`, "utf8");
  expect(status).toMatch(/^CapEff:\t0{16}$/m);
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  expect(status).toMatch(/^Seccomp:\t2$/m);
  expect(status).not.toMatch(/^Uid:\t0/m);
  const state = await withNetconf(readAppliance);
  expect(readElement(state, "image-version")).toBe(options.image.version);
  expect(readElement(state, "day-0")).toBe("applied");
});

function qemuPid(): number {
  const pid = site.lab.listProcesses().find(({ name }) => name === `${VM}/machine`)?.record?.pid;
  if (pid === undefined) throw new Error("the VM runs");
  return pid;
}

test("connections are offloaded through the real port, and their packets never reach the virtio NICs", async () => {
  const ledger = await Ledger.attach(site.lab, "red", "gw");
  await ledger.open();
  await expectOffload();
  const balance = await ledger.balance();
  await ledger.detach();
  expect(balance).toMatchObject({ errorPackets: 0, errorBytes: 0 });
  expect(balance.throughFastPath.packets).toBeGreaterThan(0);
  // The second round alone moves more bytes than the VM has seen of both.
  expect(balance.throughFastPath.bytes).toBeGreaterThan(2 * CONNECTIONS * ROUND_BYTES);
});

test("the port survives a restart of the bridge", async () => {
  await site.lab.stopProcess("bridge", "SIGKILL");
  await site.lab.startProcess("bridge");
  await expectOffload();
});

test("a VM that was written to a file continues, and its port with it", async () => {
  const file = join(folder, "state");
  await site.machine.saveTo(file);
  await site.machine.resumeFrom(file);
  rmSync(file);
  await expectOffload();
});

test("neither disk, file system nor memory of the VM holds a key or an address of bridge and controller", async () => {
  const planted = `planted-${crypto.randomUUID()}`;
  await withNetconf((netconf) => commitMark(netconf, planted));
  const needles = listSecrets();
  expect(needles.size).toBeGreaterThan(20);
  const control = new Map([["planted", Buffer.from(planted)]]);
  const all = new Map([...needles, ...control]);
  const dump = join(site.machine.files.machineDirectory, "memory");
  await site.machine.command("dump-guest-memory", { paging: false, protocol: `file:${dump}` });
  expect([...scanFile(dump, all)], "memory").toEqual(["planted"]);
  rmSync(dump);
  expect([...scanFile(site.machine.files.dataDisk, all)], "data disk").toEqual(["planted"]);
  const tree = join(folder, "root");
  execFileSync("unsquashfs", ["-q", "-n", "-d", tree, options.image.rootFile ?? ""]);
  const version = new Map([["version", Buffer.from(options.image.version)]]);
  expect([...scanFolder(tree, new Map([...needles, ...version]))], "root").toEqual(["version"]);
}, 180_000);

/** Keys as files, tokens and sockets of the host's processes, by what they are. */
function listSecrets(): Map<string, Buffer> {
  const { controller, agent } = site.lab.description;
  const pki = join(site.cli.runDirectory, "labs", site.cli.name, "pki");
  const text = (value: string): Buffer => Buffer.from(value.trim(), "latin1");
  return new Map([
    ...listFiles(pki).flatMap((file) => (file.endsWith(".pem") ? pemNeedles(file) : [])),
    ["token", text(readFileSync(controller?.tokenFile ?? "", "utf8"))],
    ["admin address", text(controller?.adminUrl.replace("http://", "") ?? "")],
    ["controller's address", text("127.0.0.1:7443")],
    ["agent's socket", text(agent?.socketPath ?? "")],
    ["the host's folders", text(site.cli.runDirectory)],
  ]);
}

test(
  "configuration survives a shutdown in order and a boot from another image",
  async () => {
    await withNetconf((netconf) => commitMark(netconf, "before-replacement"));
    expect(await site.machine.shutDown(), site.machine.console.readTail()).toBe(true);
    await replaceRoot("9.9.9-replaced");
    await site.machine.start();
    await withNetconf(async (netconf) => {
      expect(readElement(await readAppliance(netconf), "image-version")).toBe("9.9.9-replaced");
      expect(await readMark(netconf)).toBe("before-replacement");
    });
    await expectOffload();
  },
  BOOT_MS,
);

/** Packs the root file system again with another version, and puts it where the VM's root was. */
async function replaceRoot(version: string): Promise<void> {
  const tree = join(folder, "root");
  const release = join(tree, "app", "etc", "os-release");
  const text = readFileSync(release, "utf8").replace(/^VERSION_ID=.*$/m, `VERSION_ID="${version}"`);
  rmSync(release);
  writeFileSync(release, text);
  const file = join(folder, "other.squashfs");
  const quick = ["-quiet", "-no-progress", "-noappend", "-noI", "-noD", "-noF", "-noX"];
  execFileSync("mksquashfs", [tree, file, ...quick], { stdio: "ignore" });
  chmodSync(file, 0o644);
  const place = join(site.cli.runDirectory, "spaces", site.cli.name, "image", "root");
  const words = ["mount", "-n", "--bind", "-o", "ro", file, place];
  const outcome = await site.lab.run("host", words, { privileges: ROOT });
  expect(outcome).toMatchObject({ code: 0 });
}

interface Commits {
  readonly answered: number;
  readonly sent: number;
}

/** Commits numbers one after the other until the VM is gone. */
async function commitUntilCut(first: number): Promise<Commits> {
  const netconf = await site.openNetconf();
  let [answered, sent] = [first - 1, first - 1];
  const cut = new Promise<void>((resolve) => {
    setTimeout(() => void site.machine.cutPower().then(resolve), Math.random() * CUT_AFTER_MS_MAX);
  });
  try {
    for (let number = first; ; number++) {
      await netconf.edit(formatMark(`n${number}`));
      sent = number;
      await netconf.commit();
      answered = number;
    }
  } catch {
    // The power is gone.
  }
  await cut;
  netconf.close();
  return { answered, sent };
}

async function setAutoSave(netconf: NetconfClient, saves: boolean): Promise<void> {
  await netconf.edit(`<appliance xmlns="${NS_SYSTEM}"><auto-save>${saves}</auto-save></appliance>`);
  await netconf.commit();
}

test(
  `power cuts while commits run lose none that was answered (${CUTS})`,
  async () => {
    let next = 1;
    for (let cut = 0; cut < CUTS; cut++) {
      const saves = cut % 3 !== 1;
      await withNetconf(async (netconf) => {
        await setAutoSave(netconf, true);
        await commitMark(netconf, `n${next}`);
        if (saves) return;
        await setAutoSave(netconf, false);
        await netconf.mustCall(
          "<copy-config><target><startup/></target><source><running/></source></copy-config>",
        );
      });
      const { answered, sent } = await commitUntilCut(next + 1);
      await site.machine.start();
      const found = await withNetconf(readMark);
      const allowed = saves ? [`n${answered}`, `n${sent}`] : [`n${next}`];
      expect(allowed, `cut ${cut}, auto-save ${saves}`).toContain(found);
      next = sent + 1;
    }
  },
  CUTS * BOOT_MS,
);
