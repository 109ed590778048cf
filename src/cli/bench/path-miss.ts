/**
 * What the fast path's programs cost a packet that they do not forward.
 *
 * Effect: traffic through blue's bare router, whose ports carry the same programs but never a flow; they
 * are taken off and put back by detaching the port's queueing discipline and restarting the agent.
 */

import { measurePackets } from "./path-throughput.ts";
import { type Figure, makeFigure } from "./report.ts";
import type { BenchRig } from "./rig.ts";

async function detachPrograms(rig: BenchRig): Promise<void> {
  await rig.lab.stopProcess("agent");
  const { hosts, appliances } = rig.lab.description;
  const ports = [
    ...hosts.map((host) => host.hostPort),
    ...appliances.flatMap((appliance) => appliance.interfaces.map((entry) => entry.hostPort)),
  ];
  await rig.shell(
    "host",
    ports.map((port) => `tc qdisc del dev ${port} clsact 2>/dev/null || true`).join("\n"),
  );
}

/** Packets a second with the programs attached, against none. */
export async function measureMiss(rig: BenchRig, rounds: number): Promise<Figure> {
  const attached: number[] = [];
  const detached: number[] = [];
  for (let round = 0; round < rounds; round++) {
    attached.push(await measurePackets(rig, "blue"));
    await detachPrograms(rig);
    detached.push(await measurePackets(rig, "blue"));
    await rig.lab.startProcess("agent");
  }
  const mega = (values: readonly number[]): number[] => values.map((value) => value / 1e6);
  return makeFigure(
    { id: "miss-packets", unit: "Mpps", target: { of: "ratio", bound: "min", at: 0.9 } },
    mega(attached),
    mega(detached),
  );
}
