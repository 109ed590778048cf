/** New TCP connections a second: with tracking and offload, against the same rules with nobody listening. */
import { type Figure, makeFigure } from "./report.ts";
import { type BenchRig, SERVER_ADDRESS } from "./rig.ts";

const CONNECT_PORT = 9003;
const CONNECT_SEC = 2;
const CLIENTS = ["red/client1", "red/client2"];

async function measureConnects(rig: BenchRig): Promise<number> {
  const options = { address: SERVER_ADDRESS, port: CONNECT_PORT, seconds: CONNECT_SEC };
  const server = rig.start("red/www", "tcp-accept", { ...options, seconds: 60 });
  await server.waitReady();
  const clients = CLIENTS.map((host) => rig.start(host, "tcp-connect", options));
  const results = await Promise.all(clients.map((client) => client.result));
  server.stop();
  await server.result;
  return results.reduce((sum, { connected = 0, seconds = 1 }) => sum + connected / seconds, 0);
}

/** A process that was just started, or flows that just ended, are not what the next run is about. */
const SETTLE_MS = 1500;

/**
 * The rules stay in the kernel while the data process is down; manage gives it the configuration again.
 *
 * What requests every connection comes after all pairs: its flows' ends would burden the next run.
 */
export async function measureConnections(rig: BenchRig, rounds: number): Promise<Figure[]> {
  const tracked: number[] = [];
  const requested: number[] = [];
  const rulesOnly: number[] = [];
  const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  for (let round = 0; round < rounds; round++) {
    await rig.setOffloadPolicy(true, 16);
    await settle();
    tracked.push(await measureConnects(rig));
    await rig.lab.stopProcess("red-gw/data");
    await settle();
    rulesOnly.push(await measureConnects(rig));
    await rig.lab.startProcess("red-gw/data");
  }
  await rig.setOffloadPolicy(true, 0);
  for (let round = 0; round < rounds; round++) {
    requested.push(await measureConnects(rig));
    await settle();
  }
  await rig.setOffloadPolicy(true, 16);
  const target = { of: "ratio", bound: "min", at: 0.85 } as const;
  return [
    makeFigure({ id: "new-connections", unit: "1/s", target }, tracked, rulesOnly),
    makeFigure({ id: "new-connections-all-requested", unit: "1/s" }, requested, rulesOnly),
  ];
}
