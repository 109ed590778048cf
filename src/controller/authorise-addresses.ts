/**
 * Decides whether every address and port of a flow may appear where it would appear.
 *
 * Pure. With `S` the segment where the packet arrives and `S'` the one where it leaves:
 *   source'      own(S') or pool(S'), or unchanged and one that may arrive on S;
 *   destination' own(S') or pool(S'), or unchanged and S' is transit, or where the original came from;
 *   source       own(S) or pool(S), or S is transit;
 *   destination  as destination' when unchanged, otherwise the tenant's.
 * Both directions, when there are two, are each other's inverse.
 */
import { familyOf } from "../lib/inet/address.ts";
import type { FlowDirection, RefusalReason } from "../offload-protocol/messages.ts";
import { type AddressWords, isForwardable, toWords } from "./address-set.ts";
import type { ExternalPool, Segment, Vnic } from "./model.ts";

/** A direction with its vNICs found and its rewrite applied. */
export interface ResolvedDirection {
  readonly direction: FlowDirection;
  readonly ingress: Vnic;
  readonly egress: Vnic;
  readonly newSourceAddress: FlowDirection["match"]["sourceAddress"];
  readonly newDestinationAddress: FlowDirection["match"]["destinationAddress"];
  readonly newSourcePort: number;
  readonly newDestinationPort: number;
}

interface Problem {
  readonly reason: RefusalReason;
  readonly detail: string;
}

/** What one of the tenant's pools says about an address and a port. */
type PoolAnswer = "entitled" | "wrong-port" | "not-in-pool";

/** Returns why the flow's addresses are refused, if they are. */
export function authoriseAddresses(
  pools: readonly ExternalPool[],
  original: ResolvedDirection,
  reply: ResolvedDirection | undefined,
): Problem | undefined {
  return (
    checkDirection(pools, original, undefined) ??
    (reply === undefined
      ? undefined
      : (checkDirection(pools, reply, original) ?? checkInverse(original, reply)))
  );
}

function checkDirection(
  pools: readonly ExternalPool[],
  resolved: ResolvedDirection,
  original: ResolvedDirection | undefined,
): Problem | undefined {
  return (
    checkWellFormed(resolved) ??
    checkSource(pools, resolved) ??
    checkDestination(pools, resolved, original)
  );
}

function checkWellFormed(resolved: ResolvedDirection): Problem | undefined {
  const { match } = resolved.direction;
  const { newSourceAddress, newDestinationAddress, newSourcePort, newDestinationPort } = resolved;
  const family = familyOf(match.sourceAddress);
  if (
    familyOf(match.destinationAddress) !== family ||
    familyOf(newSourceAddress) !== family ||
    familyOf(newDestinationAddress) !== family
  ) {
    const { sourceAddress, destinationAddress } = match;
    const addresses = [sourceAddress, destinationAddress, newSourceAddress, newDestinationAddress];
    return { reason: "malformed", detail: `two address families in ${addresses.join(", ")}` };
  }
  const hasZero =
    match.sourcePort === 0 ||
    match.destinationPort === 0 ||
    newSourcePort === 0 ||
    newDestinationPort === 0;
  return hasZero ? { reason: "malformed", detail: "port 0" } : undefined;
}

function checkSource(
  pools: readonly ExternalPool[],
  resolved: ResolvedDirection,
): Problem | undefined {
  const { match } = resolved.direction;
  const arriving = resolved.ingress.segment;
  const leaving = resolved.egress.segment;
  const source = toWords(match.sourceAddress);
  if (!mayArriveFrom(pools, source, match.sourcePort, arriving)) {
    return addressProblem("source", match.sourceAddress, arriving);
  }
  const { newSourceAddress, newSourcePort } = resolved;
  const isAddressSame = newSourceAddress === match.sourceAddress;
  if (isAddressSame && newSourcePort === match.sourcePort) return undefined;
  const words = isAddressSame ? source : toWords(newSourceAddress);
  if (!isForwardable(words)) return addressProblem("new source", newSourceAddress, leaving);
  if (leaving.own.has(words)) return undefined;
  const answer = askPools(pools, words, newSourcePort, (pool) => mayShow(pool, leaving));
  if (answer === "entitled") return undefined;
  return answer === "wrong-port" || isAddressSame
    ? portProblem("new source", newSourceAddress, newSourcePort, leaving)
    : addressProblem("new source", newSourceAddress, leaving);
}

function checkDestination(
  pools: readonly ExternalPool[],
  resolved: ResolvedDirection,
  original: ResolvedDirection | undefined,
): Problem | undefined {
  const { match } = resolved.direction;
  const leaving = resolved.egress.segment;
  const { newDestinationAddress, newDestinationPort } = resolved;
  const isSame =
    newDestinationAddress === match.destinationAddress &&
    newDestinationPort === match.destinationPort;
  if (!isSame) {
    const problem = checkOwnDestination(pools, resolved);
    if (problem !== undefined) return problem;
  }
  const words = toWords(newDestinationAddress);
  if (!isForwardable(words)) {
    return addressProblem("new destination", newDestinationAddress, leaving);
  }
  if (leaving.own.has(words)) return undefined;
  const answer = askPools(
    pools,
    words,
    newDestinationPort,
    (pool) => pool.segmentId === leaving.id,
  );
  if (answer === "entitled") return undefined;
  if (isSame && leaving.isTransit && answer === "not-in-pool") return undefined;
  if (original !== undefined && goesBack(resolved, original)) return undefined;
  return answer === "wrong-port"
    ? portProblem("new destination", newDestinationAddress, newDestinationPort, leaving)
    : addressProblem("new destination", newDestinationAddress, leaving);
}

/** A destination that is rewritten was the tenant's to receive. */
function checkOwnDestination(
  pools: readonly ExternalPool[],
  resolved: ResolvedDirection,
): Problem | undefined {
  const { match } = resolved.direction;
  const arriving = resolved.ingress.segment;
  const words = toWords(match.destinationAddress);
  if (!isForwardable(words)) {
    return addressProblem("destination", match.destinationAddress, arriving);
  }
  if (arriving.own.has(words)) return undefined;
  const answer = askPools(pools, words, match.destinationPort, (pool) => mayShow(pool, arriving));
  if (answer === "entitled") return undefined;
  return answer === "wrong-port"
    ? portProblem("destination", match.destinationAddress, match.destinationPort, arriving)
    : addressProblem("destination", match.destinationAddress, arriving);
}

/** The reply goes to where the original direction's packets come from. */
function goesBack(reply: ResolvedDirection, original: ResolvedDirection): boolean {
  const { match } = original.direction;
  return (
    reply.egress.segment.id === original.ingress.segment.id &&
    reply.newDestinationAddress === match.sourceAddress &&
    reply.newDestinationPort === match.sourcePort
  );
}

function mayArriveFrom(
  pools: readonly ExternalPool[],
  source: AddressWords,
  port: number,
  segment: Segment,
): boolean {
  if (!isForwardable(source)) return false;
  if (segment.own.has(source) || segment.isTransit) return true;
  return askPools(pools, source, port, (pool) => pool.segmentId === segment.id) === "entitled";
}

/** A pool's addresses appear on its own segment, and inside the tenant's closed segments (hairpinning). */
function mayShow(pool: ExternalPool, segment: Segment): boolean {
  return pool.segmentId === segment.id || !segment.isTransit;
}

function askPools(
  pools: readonly ExternalPool[],
  words: AddressWords,
  port: number,
  applies: (pool: ExternalPool) => boolean,
): PoolAnswer {
  let answer: PoolAnswer = "not-in-pool";
  for (const pool of pools) {
    if (!applies(pool) || !pool.addresses.has(words)) continue;
    if (port >= pool.startPort && port <= pool.endPort) return "entitled";
    answer = "wrong-port";
  }
  return answer;
}

/** `(source, destination) => (source', destination')` is undone by the reply. */
function checkInverse(original: ResolvedDirection, reply: ResolvedDirection): Problem | undefined {
  const there = original.direction.match;
  const back = reply.direction.match;
  const isInverse =
    back.sourceAddress === original.newDestinationAddress &&
    back.sourcePort === original.newDestinationPort &&
    back.destinationAddress === original.newSourceAddress &&
    back.destinationPort === original.newSourcePort &&
    reply.newSourceAddress === there.destinationAddress &&
    reply.newSourcePort === there.destinationPort &&
    reply.newDestinationAddress === there.sourceAddress &&
    reply.newDestinationPort === there.sourcePort;
  if (isInverse) return undefined;
  return { reason: "malformed", detail: "the reply does not undo what the original does" };
}

function addressProblem(role: string, address: string, segment: Segment): Problem {
  const where = `segment "${segment.tenant}/${segment.name}"`;
  return {
    reason: "address-not-entitled",
    detail: `${role} ${address} is not entitled on ${where}`,
  };
}

function portProblem(role: string, address: string, port: number, segment: Segment): Problem {
  const where = `segment "${segment.tenant}/${segment.name}"`;
  const detail = `${role} port ${port} of ${address} is not entitled on ${where}`;
  return { reason: "port-not-entitled", detail };
}
