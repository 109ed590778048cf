/** `bench path`: the whole path, from a first packet to an offloaded flow. Effect: a lab and its traffic. */
import { measureCommit } from "./path-commit.ts";
import { measureConnections } from "./path-connections.ts";
import { measureFlows } from "./path-flows.ts";
import { measureMiss } from "./path-miss.ts";
import { measureThroughput } from "./path-throughput.ts";
import type { Figure } from "./report.ts";
import { BenchRig } from "./rig.ts";

/** Measures every figure of the path, one group after the other in one lab. */
export async function measurePath(
  rounds: number,
  announce: (line: string) => void,
): Promise<Figure[]> {
  const rig = await BenchRig.build(announce);
  try {
    const figures: Figure[] = [];
    const group = async (what: string, run: () => Promise<readonly Figure[]>): Promise<void> => {
      announce(`measuring: ${what}`);
      figures.push(...(await run()));
    };
    // Flows stay in conntrack and on the fast path, so what makes many of them comes last.
    await group("commits", async () => [await measureCommit(rig, rounds)]);
    await group("packets and bytes a second", () => measureThroughput(rig, rounds));
    await group("the cost of a miss", async () => [await measureMiss(rig, rounds)]);
    await group("new connections", () => measureConnections(rig, rounds));
    await group("flows to the fast path", () => measureFlows(rig, rounds));
    return figures;
  } finally {
    await rig.close();
  }
}
