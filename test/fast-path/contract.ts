/** What every fast-path driver must do: one suite, run on each driver, packets included. */
import { describe } from "vitest";
import type { DriverLimits } from "../../src/fast-path/flow-registry.ts";
import { testPackets } from "./contract-packets.ts";
import { type DriverUnderTest, useDriver } from "./contract-subject.ts";
import { testTable } from "./contract-table.ts";

/** Runs the whole suite on one driver. */
export function describeDriverContract(
  name: string,
  make: (limits: DriverLimits) => Promise<DriverUnderTest>,
): void {
  describe(`the ${name} driver`, () => {
    const fixture = useDriver(make);
    testPackets(fixture);
    testTable(fixture);
  });
}
