/** Flows as they travel to the agent. */
import { expect, test } from "vitest";
import type { FastPathFlow, InstallOutcome } from "../../src/fast-path/driver.ts";
import {
  decodeFlows,
  decodeRefusals,
  encodeFlows,
  encodeRefusals,
} from "../../src/fast-path/flow-codec.ts";
import type { IpAddress, MacAddress } from "../../src/lib/inet/address.ts";

const mac = (last: number): MacAddress => `02:00:00:00:00:${10 + last}` as MacAddress;

function makeFlow(handle: number, isBoth: boolean): FastPathFlow {
  const original = {
    segmentId: 10,
    destinationMac: mac(1),
    protocol: 17,
    sourceAddress: "10.0.0.5" as IpAddress,
    destinationAddress: "192.0.2.100" as IpAddress,
    sourcePort: 4000 + handle,
    destinationPort: 53,
    newSourceAddress: "198.51.100.1" as IpAddress,
    newDestinationAddress: "192.0.2.100" as IpAddress,
    newSourcePort: 1024,
    newDestinationPort: 53,
    newSourceMac: mac(2),
    newDestinationMac: mac(3),
    egressPortId: 4,
    mtuBytes: 1500,
  };
  const flow = { handle, vmSlot: 3, generation: 2 ** 40, original };
  return isBoth ? { ...flow, reply: { ...original, segmentId: 11, sourcePort: 53 } } : flow;
}

test("flows of one and of two directions arrive through JSON as they were, 2^53 - 1 included", () => {
  const flows = [makeFlow(1, true), makeFlow(Number.MAX_SAFE_INTEGER, false), makeFlow(3, true)];
  expect(decodeFlows(JSON.parse(JSON.stringify(encodeFlows(flows))))).toEqual(flows);
  expect(decodeFlows(encodeFlows([]))).toEqual([]);
});

test("each text travels once in a message", () => {
  const { texts } = encodeFlows([makeFlow(1, true), makeFlow(2, true)]);
  expect(new Set(texts).size).toBe(texts.length);
});

test("only refusals travel back, and every flow gets its outcome", () => {
  const flows = [makeFlow(7, true), makeFlow(8, false), makeFlow(9, true)];
  const outcomes: InstallOutcome[] = [
    { handle: 7, outcome: "installed" },
    { handle: 8, outcome: "refused", reason: "duplicate" },
    { handle: 9, outcome: "installed" },
  ];
  expect(encodeRefusals(outcomes)).toEqual([[1, "duplicate"]]);
  expect(decodeRefusals(flows, encodeRefusals(outcomes))).toEqual(outcomes);
});
