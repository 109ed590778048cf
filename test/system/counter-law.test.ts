/** The demo's ledger on a real lab: drops with a reason balance; one without makes the account fail. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Ledger } from "../../src/cli/demo/ledger.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import { ROOT } from "../../src/lab/privileges.ts";
import { startLab } from "../../src/lab/start-lab.ts";
import { runTraffic, startTraffic } from "../../src/lab/traffic/run-traffic.ts";
import { createLog } from "../../src/lib/base/log.ts";
import { LabCli } from "../support/lab-cli.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

const HOSTS = ["client1", "www", "outsider"];
const INSIDE_V6 = "fd00:0:0:1::10";
const SERVER_V4 = "192.0.2.100";
const PORT = 9053;
const LOST = 7;

const cli = new LabCli();
let lab: Lab;
let ledger: Ledger;
beforeAll(async () => {
  const definition = readLabFile(defaultLabFile());
  const [red] = definition.tenants;
  if (red === undefined) throw new Error("the lab has a first tenant");
  const hosts = red.hosts.filter(({ name }) => HOSTS.includes(name));
  lab = await startLab(
    { ...definition, tenants: [{ ...red, hosts }] },
    {
      name: cli.name,
      runDirectory: cli.runDirectory,
      distDirectory: LAB_DIST_DIRECTORY,
      log: createLog("lab", "error"),
    },
  );
  ledger = await Ledger.attach(lab, "red", "gw");
});
afterAll(async () => {
  await ledger?.detach();
  await lab?.stop();
  cli.dispose();
});

async function ping(from: string, target: string): Promise<void> {
  await lab.run(`red/${from}`, ["ping", "-c4", "-i0.1", "-W1", "-n", target]);
}

test("connections, datagrams, rejected and dropped packets balance, each drop under its reason", async () => {
  await ping("client1", SERVER_V4); // Neighbours are known before the account opens.
  await ping("outsider", INSIDE_V6);
  await ledger.open();
  const server = await startTraffic(lab, "red/www", "http-server", { port: 80 });
  await runTraffic(lab, "red/client1", "http-client", {
    ...{ target: SERVER_V4, port: 80, connections: 20, requestsPerConnection: 30 },
  });
  await server.stop();
  await ping("outsider", INSIDE_V6); // No policy leads there.
  await ping("client1", "10.0.0.1"); // Ends at the appliance.
  const balance = await ledger.balance();
  expect(balance).toMatchObject({ errorPackets: 0, errorBytes: 0 });
  expect(balance.drops?.["firewall"]).toBe(4);
});

test("packets that vanish in the appliance without a reason are an error, one for each", async () => {
  const nft = (...words: string[]) => lab.run("red/gw", ["nft", ...words], { privileges: ROOT });
  await nft("add table inet rogue");
  await nft("add chain inet rogue forward { type filter hook forward priority 50; }");
  await nft(`add rule inet rogue forward udp dport ${PORT} drop`);
  await ledger.open();
  await runTraffic(lab, "red/client1", "udp-client", {
    ...{ target: SERVER_V4, port: PORT, flows: LOST, packetsPerFlow: 1, timeoutMs: 300 },
  });
  const balance = await ledger.balance();
  expect(balance.errorPackets).toBe(LOST);
  expect(balance.errorBytes).toBeGreaterThan(LOST * 28);
  await nft("delete table inet rogue");
  await ledger.open();
  await ping("client1", SERVER_V4);
  expect(await ledger.balance()).toMatchObject({ errorPackets: 0, errorBytes: 0 });
});
