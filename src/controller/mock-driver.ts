/**
 * The memory driver with faults on request.
 *
 * Effect: waits as long as the faults say. Everything else is the memory driver's.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { DriverCapabilities, FastPathFlow, InstallOutcome } from "../fast-path/driver.ts";
import { MemoryDriver } from "../fast-path/memory/memory-driver.ts";
import { type MockFaults, TABLE_FLOWS_MAX } from "./mock-faults.ts";

/** A driver whose table and temper can be changed while it runs. */
export class MockDriver extends MemoryDriver {
  readonly #faults: MockFaults;

  constructor(faults: MockFaults) {
    super({
      limits: { flowsMax: TABLE_FLOWS_MAX },
      beforeEach: async (operation) => {
        const { delayMs } = faults.values;
        const isProgramming = operation === "install" || operation === "withdraw";
        if (isProgramming && delayMs > 0) await sleep(delayMs);
      },
    });
    this.#faults = faults;
  }

  override async capabilities(): Promise<DriverCapabilities> {
    return { ...(await super.capabilities()), name: "mock" };
  }

  override async install(flows: readonly FastPathFlow[]): Promise<readonly InstallOutcome[]> {
    const held = (await super.totals()).flows;
    let room = this.#faults.values.tableFlows - held;
    const refused = new Set<number>();
    for (const { handle } of flows) {
      if (room <= 0 || this.#faults.happens("refuseShare")) refused.add(handle);
      else room--;
    }
    const outcomes = await super.install(flows.filter(({ handle }) => !refused.has(handle)));
    const byHandle = new Map(outcomes.map((outcome) => [outcome.handle, outcome]));
    return flows.map(
      ({ handle }): InstallOutcome =>
        byHandle.get(handle) ?? { handle, outcome: "refused", reason: "table-full" },
    );
  }
}
