/** Installs flows by a function that takes them packed. Pure but for that function. */
import type { FastPathFlow, InstallOutcome, InstallRefusal } from "./driver.ts";
import { isSupported, RECORD_LIMITS } from "./flow-registry.ts";
import { packFlows } from "./packed-flows.ts";

/** Returns the outcomes in order; what no record can carry is not asked for. */
export async function installBy(
  flows: readonly FastPathFlow[],
  install: (packed: Buffer) => readonly InstallRefusal[] | Promise<readonly InstallRefusal[]>,
): Promise<InstallOutcome[]> {
  const asked: FastPathFlow[] = [];
  const places: number[] = [];
  const outcomes = flows.map((flow, place): InstallOutcome => {
    const { handle } = flow;
    if (!isSupported(flow, RECORD_LIMITS)) {
      return { handle, outcome: "refused", reason: "unsupported-by-driver" };
    }
    asked.push(flow);
    places.push(place);
    return { handle, outcome: "installed" };
  });
  if (asked.length === 0) return outcomes;
  for (const { place, reason } of await install(packFlows(asked))) {
    const handle = asked[place]?.handle;
    const at = places[place];
    if (at === undefined || handle === undefined) continue;
    outcomes[at] = { handle, outcome: "refused", reason };
  }
  return outcomes;
}
