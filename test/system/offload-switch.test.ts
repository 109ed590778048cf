/** Offload switched on by a commit: a flow that was born while it was off gets its chance. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Lab } from "../../src/lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import { startLab } from "../../src/lab/start-lab.ts";
import { startTraffic } from "../../src/lab/traffic/run-traffic.ts";
import { createLog } from "../../src/lib/base/log.ts";
import { LabCli } from "../support/lab-cli.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";
import { activeTcpFlows, commit, eventually } from "./drill-site.ts";

const HOSTS = ["client1", "www"];
const SERVER = "192.0.2.100";
const PORT = 9000;
const CONNECTIONS = 4;
/** Long enough for a flow to be asked for, were it asked for. */
const ASKED_MS = 1_000;
/** Above the default worthiness, in one round. */
const ROUND_BYTES = 200_000;

const cli = new LabCli();
let lab: Lab;
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
});
afterAll(async () => {
  await lab?.stop();
  cli.dispose();
});

function switchOffload(enabled: boolean): Promise<unknown> {
  const policy = `<offload-policy xmlns="urn:flowlift:zones"><enabled>${enabled}</enabled></offload-policy>`;
  return commit(lab, "red-gw", policy);
}

test("flows born while offload is off become active when it is on, leave when it is off, and none is lost", async () => {
  await switchOffload(false);
  const server = await startTraffic(lab, "red/www", "transfer-server", { port: PORT });
  const client = await startTraffic(lab, "red/client1", "transfer-client", {
    ...{ target: SERVER, port: PORT, connections: CONNECTIONS, rounds: 0 },
    ...{ uploadBytes: ROUND_BYTES, downloadBytes: ROUND_BYTES },
  });
  const countActive = async () => (await activeTcpFlows(lab, "red-gw")).length;
  await client.transferRound();
  await new Promise((resolve) => setTimeout(resolve, ASKED_MS));
  expect(await countActive()).toBe(0);
  await switchOffload(true);
  await client.transferRound(); // A worthy packet is what starts it.
  await eventually("all are active", async () => (await countActive()) === CONNECTIONS);
  await switchOffload(false);
  await eventually("none is active", async () => (await countActive()) === 0);
  await client.transferRound();
  await switchOffload(true);
  await client.transferRound();
  await eventually("all are active", async () => (await countActive()) === CONNECTIONS);
  const result = await client.stop();
  expect(result).toMatchObject({ connections: CONNECTIONS, failedConnections: 0 });
  await server.stop();
});
