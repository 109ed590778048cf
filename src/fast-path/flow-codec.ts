/**
 * Flows to be installed, and what became of them, as short JSON: thousands a second pass here.
 *
 * Pure. Each text stands once in a message, flows name it by its place; both ends share what they decode.
 */
import { assert } from "../lib/base/assert.ts";
import type { FastPathDirection, FastPathFlow, InstallOutcome } from "./driver.ts";

/** Handle, slot, generation and count of directions of each flow, then its directions; see `pushDirection`. */
export interface FlowsJson {
  readonly texts: readonly string[];
  readonly numbers: readonly number[];
}

type Refusal = Extract<InstallOutcome, { readonly outcome: "refused" }>["reason"];
/** Place in the request and reason; all others were installed. */
export type RefusalsJson = readonly (readonly [number, Refusal])[];

/** Gives each text a place. */
class TextTable {
  readonly texts: string[] = [];
  readonly #places = new Map<string, number>();

  placeOf(text: string): number {
    let place = this.#places.get(text);
    if (place === undefined) {
      place = this.texts.push(text) - 1;
      this.#places.set(text, place);
    }
    return place;
  }
}

export function encodeFlows(flows: readonly FastPathFlow[]): FlowsJson {
  const table = new TextTable();
  const numbers: number[] = [];
  for (const { handle, vmSlot, generation, original, reply } of flows) {
    numbers.push(handle, vmSlot, generation, reply === undefined ? 1 : 2);
    pushDirection(numbers, table, original);
    if (reply !== undefined) pushDirection(numbers, table, reply);
  }
  return { texts: table.texts, numbers };
}

function pushDirection(numbers: number[], table: TextTable, direction: FastPathDirection): void {
  numbers.push(
    direction.segmentId,
    table.placeOf(direction.destinationMac),
    direction.protocol,
    table.placeOf(direction.sourceAddress),
    table.placeOf(direction.destinationAddress),
    direction.sourcePort,
    direction.destinationPort,
    table.placeOf(direction.newSourceAddress),
    table.placeOf(direction.newDestinationAddress),
    direction.newSourcePort,
    direction.newDestinationPort,
    table.placeOf(direction.newSourceMac),
    table.placeOf(direction.newDestinationMac),
    direction.egressPortId,
    direction.mtuBytes,
  );
}

/** Reads numbers and texts in order. */
class FlowsReader {
  readonly #json: FlowsJson;
  #at = 0;

  constructor(json: FlowsJson) {
    this.#json = json;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#json.numbers.length;
  }

  number(): number {
    const value = this.#json.numbers[this.#at++];
    assert(value !== undefined, "a flow's numbers are complete");
    return value;
  }

  text<T extends string>(): T {
    const value = this.#json.texts[this.number()];
    assert(value !== undefined, "a flow names texts of its own message");
    return value as T;
  }
}

export function decodeFlows(json: FlowsJson): FastPathFlow[] {
  const reader = new FlowsReader(json);
  const flows: FastPathFlow[] = [];
  while (!reader.isAtEnd) {
    const handle = reader.number();
    const vmSlot = reader.number();
    const generation = reader.number();
    const isBoth = reader.number() === 2;
    const original = readDirection(reader);
    const flow = { handle, vmSlot, generation, original };
    flows.push(isBoth ? { ...flow, reply: readDirection(reader) } : flow);
  }
  return flows;
}

function readDirection(reader: FlowsReader): FastPathDirection {
  return {
    segmentId: reader.number(),
    destinationMac: reader.text(),
    protocol: reader.number(),
    sourceAddress: reader.text(),
    destinationAddress: reader.text(),
    sourcePort: reader.number(),
    destinationPort: reader.number(),
    newSourceAddress: reader.text(),
    newDestinationAddress: reader.text(),
    newSourcePort: reader.number(),
    newDestinationPort: reader.number(),
    newSourceMac: reader.text(),
    newDestinationMac: reader.text(),
    egressPortId: reader.number(),
    mtuBytes: reader.number(),
  };
}

export function encodeRefusals(outcomes: readonly InstallOutcome[]): RefusalsJson {
  const refusals: [number, Refusal][] = [];
  outcomes.forEach((outcome, place) => {
    if (outcome.outcome === "refused") refusals.push([place, outcome.reason]);
  });
  return refusals;
}

/** Returns one outcome for each flow, in order. */
export function decodeRefusals(
  flows: readonly FastPathFlow[],
  refusals: RefusalsJson,
): InstallOutcome[] {
  const reasons = new Map(refusals);
  return flows.map(({ handle }, place): InstallOutcome => {
    const reason = reasons.get(place);
    return reason === undefined
      ? { handle, outcome: "installed" }
      : { handle, outcome: "refused", reason };
  });
}
