/**
 * Which flow matches a packet: an open-addressed hash table of directions without a key object for each.
 *
 * Pure but for the secret: hashes are sums of characters times random words, so that nobody who chooses
 * addresses and ports can make them collide.
 * Invariant: at most LOAD_MAX of the places are taken; a deleted place is closed by moving the next ones up.
 */
import { randomFillSync } from "node:crypto";
import type { FastPathDirection } from "../fast-path/driver.ts";
import { assert } from "../lib/base/assert.ts";
import { matchSame } from "./tuple-key.ts";

const PLACES_MIN = 1024;
const LOAD_MAX = 0.5;
/** Where the characters of each text begin among the random words; addresses have at most 45. */
const MAC_AT = 4;
const SOURCE_AT = 24;
const DESTINATION_AT = 72;
const WORDS = 128;

/** Directions and what holds them. */
export class TupleIndex<T> {
  readonly #words: Int32Array = randomFillSync(new Int32Array(WORDS));
  #hashes: Int32Array = new Int32Array(PLACES_MIN);
  #directions: (FastPathDirection | undefined)[] = emptyPlaces(PLACES_MIN);
  #holders: (T | undefined)[] = emptyPlaces(PLACES_MIN);
  #count = 0;
  /** Of a hash, so that its high bits name a place. */
  #shift: number = shiftOf(PLACES_MIN);

  get count(): number {
    return this.#count;
  }

  /** Returns the holder of the packets that a direction matches. */
  get(direction: FastPathDirection): T | undefined {
    return this.#holders[this.#find(direction, this.#hashOf(direction))];
  }

  add(direction: FastPathDirection, holder: T): void {
    if (this.#count >= LOAD_MAX * this.#hashes.length) this.#grow();
    const hash = this.#hashOf(direction);
    const place = this.#find(direction, hash);
    assert(this.#directions[place] === undefined, "a tuple has one holder");
    this.#put(place, hash, direction, holder);
    this.#count++;
  }

  delete(direction: FastPathDirection): void {
    let hole = this.#find(direction, this.#hashOf(direction));
    assert(this.#directions[hole] !== undefined, "a tuple that is given back is held");
    const mask = this.#hashes.length - 1;
    this.#count--;
    for (let place = (hole + 1) & mask; ; place = (place + 1) & mask) {
      const found = this.#directions[place];
      if (found === undefined) break;
      const home = this.#homeOf(this.#hashes[place] ?? 0);
      // What would not be found any more beyond the hole moves into it.
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      this.#put(hole, this.#hashes[place] ?? 0, found, this.#holders[place] as T);
      hole = place;
    }
    this.#directions[hole] = undefined;
    this.#holders[hole] = undefined;
  }

  #put(place: number, hash: number, direction: FastPathDirection, holder: T): void {
    this.#hashes[place] = hash;
    this.#directions[place] = direction;
    this.#holders[place] = holder;
  }

  /** Returns the place where the direction is, or would be. */
  #find(direction: FastPathDirection, hash: number): number {
    const mask = this.#hashes.length - 1;
    let place = this.#homeOf(hash);
    for (;;) {
      const found = this.#directions[place];
      if (found === undefined) return place;
      if (this.#hashes[place] === hash && matchSame(found, direction)) return place;
      place = (place + 1) & mask;
    }
  }

  /** The high bits of a sum of products are the good ones. */
  #homeOf(hash: number): number {
    return hash >>> this.#shift;
  }

  #hashOf(direction: FastPathDirection): number {
    const words = this.#words;
    const ports = (direction.sourcePort << 16) | direction.destinationPort;
    let sum = (words[0] ?? 0) + Math.imul(words[1] ?? 0, ports);
    sum += Math.imul(words[2] ?? 0, direction.segmentId);
    sum = (sum + Math.imul(words[3] ?? 0, direction.protocol)) | 0;
    sum = addText(words, sum, MAC_AT, direction.destinationMac);
    sum = addText(words, sum, SOURCE_AT, direction.sourceAddress);
    return addText(words, sum, DESTINATION_AT, direction.destinationAddress);
  }

  #grow(): void {
    const directions = this.#directions;
    const hashes = this.#hashes;
    const holders = this.#holders;
    const places = 2 * hashes.length;
    this.#shift = shiftOf(places);
    this.#hashes = new Int32Array(places);
    this.#directions = emptyPlaces(places);
    this.#holders = emptyPlaces(places);
    for (const [index, direction] of directions.entries()) {
      if (direction === undefined) continue;
      const hash = hashes[index] ?? 0;
      this.#put(this.#find(direction, hash), hash, direction, holders[index] as T);
    }
  }
}

function shiftOf(places: number): number {
  return 32 - Math.log2(places);
}

function emptyPlaces<T>(places: number): (T | undefined)[] {
  return new Array<T | undefined>(places).fill(undefined);
}

function addText(words: Int32Array, start: number, at: number, text: string): number {
  let sum = start;
  for (let index = 0; index < text.length; index++) {
    sum = (sum + Math.imul(words[at + index] ?? 0, text.charCodeAt(index))) | 0;
  }
  return sum;
}
