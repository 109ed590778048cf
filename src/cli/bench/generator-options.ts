/** What every traffic program is told, and how it reads it. Pure. */
import { FlowliftError } from "../../lib/base/errors.ts";
import { type IpAddress, parseIpAddress } from "../../lib/inet/address.ts";

/** Arguments of every mode; each uses what it needs. */
export interface GeneratorOptions {
  readonly address: string;
  readonly port: number;
  /** How many consecutive ports from `port` are used. */
  readonly ports?: number;
  readonly seconds: number;
  readonly flows?: number;
  readonly payloadBytes?: number;
  readonly sourceAddress?: string;
  /** New flows a second; absent: as fast as it goes. */
  readonly ratePerSec?: number;
  /** First local port of udp-exchange and udp-storm. */
  readonly sourcePort?: number;
  /** How many source ports udp-storm uses before it goes on to the next destination port. */
  readonly sourcePorts?: number;
  /** udp-blast writes whole frames to this neighbour: the sender then costs little. Needs CAP_NET_RAW. */
  readonly nextHopMac?: string;
  readonly sourceMac?: string;
  /** udp-hold answers this long; udp-blast first exchanges a few datagrams a flow for this long. */
  readonly warmUpSeconds?: number;
}

/** A blocked call returns this often, so that a program sees the end of its time. */
export const POLL_MS = 200;

/** Throws USAGE when the text is no address. */
export function addressOf(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new FlowliftError("USAGE", `"${text}" is no address`);
  return address;
}

/** Returns when the program ends, on the clock of performance.now(). */
export function untilOf(options: GeneratorOptions): number {
  return performance.now() + options.seconds * 1000;
}
