/**
 * 200 connections that live through offload, withdrawal and offload again, and a bulk transfer.
 *
 * Effect: traffic and commits. Every payload is compared by SHA-256 at both ends; a connection that
 * broke or carried a wrong byte is a failed connection.
 */
import { runTraffic, startTraffic } from "../../lab/traffic/run-traffic.ts";
import {
  countActiveFlows,
  type DemoContext,
  type DemoTenant,
  SERVER_V4,
  TRANSFER_PORT,
  waitUntil,
} from "./context.ts";

const HELD_CONNECTIONS = 200;
/** Three rounds make 2 MB and more for each connection, each way. */
const ROUND_BYTES = 700_000;
const BULK_BYTES = 512 * 1024 * 1024;
const OFFLOAD_WAIT_MS = 10_000;
const TRANSFER_TIMEOUT_MS = 60_000;

/** Switches the offload of the tenant's flows on or off; off withdraws every flow before the reply. */
async function setOffload(tenant: DemoTenant, enabled: boolean): Promise<void> {
  await tenant.netconf.edit(
    `<offload-policy xmlns="urn:flowlift:zones"><enabled>${enabled}</enabled></offload-policy>`,
  );
  await tenant.netconf.commit();
}

/** Holds the connections through the three rounds. */
export async function holdConnections(context: DemoContext, tenant: DemoTenant): Promise<void> {
  const client = await startTraffic(context.lab, `${tenant.name}/client1`, "transfer-client", {
    target: SERVER_V4,
    port: TRANSFER_PORT,
    connections: HELD_CONNECTIONS,
    uploadBytes: ROUND_BYTES,
    downloadBytes: ROUND_BYTES,
    rounds: 0,
    timeoutMs: TRANSFER_TIMEOUT_MS * context.slowness,
  });
  const expectOffloaded = async (
    what: string,
    wanted: (count: number) => boolean,
  ): Promise<void> => {
    const held = await waitUntil(
      async () => wanted(await countActiveFlows(context, tenant)),
      OFFLOAD_WAIT_MS * context.slowness,
    );
    const count = await countActiveFlows(context, tenant);
    if (!held)
      context.problems.push(`${tenant.name}: ${what}: ${count} flows are on the fast path`);
  };
  await client.transferRound();
  await expectOffloaded("after the first round", (count) => count >= HELD_CONNECTIONS);
  await setOffload(tenant, false);
  await expectOffloaded("after the withdrawal", (count) => count === 0);
  await client.transferRound();
  await setOffload(tenant, true);
  await client.transferRound();
  await expectOffloaded("after offload was allowed again", (count) => count >= HELD_CONNECTIONS);
  const result = await client.stop();
  tenant.connections += result.connections;
  tenant.failedConnections += result.failedConnections;
  for (const [error, count] of Object.entries(result.errors)) {
    context.problems.push(`${tenant.name}: ${count} held connections: ${error}`);
  }
}

/** One gigabyte over one connection, half of it each way. */
export async function transferBulk(context: DemoContext, tenant: DemoTenant): Promise<void> {
  const result = await runTraffic(context.lab, `${tenant.name}/client2`, "transfer-client", {
    target: SERVER_V4,
    port: TRANSFER_PORT,
    connections: 1,
    uploadBytes: BULK_BYTES,
    downloadBytes: BULK_BYTES,
    timeoutMs: TRANSFER_TIMEOUT_MS * context.slowness,
  });
  tenant.connections += result.connections;
  tenant.failedConnections += result.failedConnections;
  for (const error of Object.keys(result.errors)) {
    context.problems.push(`${tenant.name}: bulk transfer: ${error}`);
  }
}
