/** The first boot of a VM that was told nonsense, and no key: it is safe, says so, and can be let in. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TRY_INTERVAL_MS } from "../../src/appliance/first-boot/install-code.ts";
import { prepareVms } from "../../src/cli/prepare-vms.ts";
import { fetchHostKey } from "../../src/lab/host-key.ts";
import { formatFingerprint } from "../../src/lab/vm/lab-vms.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { addProbe, listListeners, readProbe } from "../support/guest-probe.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";
import { eventually } from "./drill-site.ts";
import { readElement, startVmSite, type VmSite } from "./vm-site.ts";

const BOOT_MS = 300_000;
/** Port 830. */
const NETCONF_HEX = "033E";
const NS_SYSTEM = "urn:flowlift:system";

let site: VmSite;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "fl-vm-first-"));
  const vm = await prepareVms(() => {});
  site = await startVmSite({
    ...vm,
    image: addProbe(vm.image, folder),
    awaitsNetconf: false,
    changeSeeds: (_, documents) => ({
      ...documents,
      "user-data": "#cloud-config\n{}\n",
      day0: '<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><nonsense xmlns="urn:x"/></config>\n',
    }),
  });
  await eventually("the VM shows its banner", () => /SHA256:/.test(console()), BOOT_MS);
}, BOOT_MS);
afterAll(async () => {
  await site?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

function console(): string {
  return site.machine.console.read();
}

function netconfPlace(): { host: string; port: number; keyFile: string } {
  const found = site.lab.description.appliances[0]?.netconf;
  if (found === undefined) throw new Error("the lab describes its VM");
  return found;
}

test("the console shows the host key's fingerprint and what was wrong with the day-0 document", async () => {
  const { host, port } = netconfPlace();
  expect(console()).toContain(formatFingerprint(await fetchHostKey(host, port)));
  expect(console()).toMatch(/day0.*(nonsense|urn:x)/);
});

test(
  "without a supplied key NETCONF lets nobody in; the banner's own line installs the first one",
  async () => {
    const { host, port } = netconfPlace();
    const hostKey = await fetchHostKey(host, port);
    await expect(site.openNetconf(hostKey)).rejects.toThrow("Cannot open NETCONF");
    const line = /flowlift connect [^\r\n]*--install-key[^\r\n]*/.exec(console())?.[0] ?? "";
    const code = /--code ([A-Z0-9]{4}-[A-Z0-9]{4})/.exec(line)?.[1];
    expect(code, line).toBeDefined();
    const main = join(findProjectRoot(), LAB_DIST_DIRECTORY, "cli", "main.js");
    const socket = ["--socket", site.machine.files.manageSocket];
    const key = ["--install-key", `${netconfPlace().keyFile}.pub`];
    const install = (with_: string) =>
      spawnSync(process.execPath, [main, "connect", "red/gw", ...socket, ...key, "--code", with_], {
        encoding: "utf8",
      });
    expect(install("AAAA-AAAA")).toMatchObject({ status: 1, stdout: "" });
    await new Promise((resolve) => setTimeout(resolve, TRY_INTERVAL_MS));
    const { status, stderr } = install(code ?? "");
    expect(status, `${stderr}; the console: ${site.machine.console.readTail()}`).toBe(0);
    const netconf = await site.openNetconf(hostKey);
    const reply = await netconf.mustCall(
      `<get><filter><appliance xmlns="${NS_SYSTEM}"/></filter></get>`,
    );
    netconf.close();
    expect(readElement(reply, "day-0")).toBe("refused");
    expect(reply).toMatch(/<document>day0<\/document>/);
  },
  BOOT_MS,
);

test(
  "nothing listens in the VM but NETCONF, and no route leaves its tenant's networks",
  async () => {
    const netconf = `tcp6 ${"0".repeat(32)}:${NETCONF_HEX}`;
    const look = () => readProbe(console()) ?? new Map<string, readonly string[]>();
    await eventually("NETCONF listens", () => listListeners(look()).includes(netconf), BOOT_MS);
    const probe = look();
    const listeners = listListeners(probe);
    const others = listeners.filter((one) => !one.endsWith(`:${NETCONF_HEX}`));
    expect(others).toEqual([]);
    const routes = probe.get("route") ?? [];
    expect(routes.length).toBeGreaterThan(0);
    expect(routes.filter((route) => route.startsWith("default"))).toEqual([]);
    expect(routes.filter((route) => !/dev (lo|inside|outside)\b/.test(route))).toEqual([]);
  },
  BOOT_MS,
);

test("the host has no address on any network of the tenant, and forwards nothing", () => {
  const netns = site.lab.description.host.netns;
  const inHost = (...argv: string[]): string =>
    execFileSync("ip", ["netns", "exec", netns, ...argv], { encoding: "utf8" });
  const addresses = inHost("ip", "-o", "addr", "show").trim().split("\n");
  expect(addresses.filter((line) => !/^\d+: lo\s/.test(line))).toEqual([]);
  expect(inHost("cat", "/proc/sys/net/ipv4/ip_forward").trim()).toBe("0");
});
