/**
 * Finds the ACE that decides about a flow without asking every ACE.
 *
 * Pure but for a memory: a list of ACLs is indexed once and the index lives as long as the list.
 * ACEs that fix the same fields to values (prefixes of one length count as values) share a table from those
 * values to ACEs. A lookup asks each table once and takes the earliest ACE that truly matches, so the order
 * of the list is kept. Source: tuple space search (Srinivasan, Suri, Varghese, 1999).
 * Invariant: the same answer as asking the ACEs one after the other (`judgeInOrder` in the tests).
 */
import type { ConntrackTuple } from "../lib/conntrack/entry.ts";
import {
  type AddressFamily,
  familyOf,
  type IpAddress,
  type IpPrefix,
} from "../lib/inet/address.ts";
import {
  type Ipv6Words,
  ipv4Bits,
  maskOfLength,
  writeIpv6Words,
} from "../lib/inet/prefix-match.ts";
import type { FlowPlace } from "../lib/service/provider.ts";
import { type Ace, type Acl, isPerPacket, type PortMatch } from "./ace.ts";
import { isIcmp, matches } from "./ace-matches.ts";

/** Fewer ACEs of one shape are asked one by one. */
export const TABLE_ACES_MIN = 4;

/** What the ACEs say together about one flow. */
export interface AceDecision {
  /** Undefined: none matches. */
  readonly ace: Ace | undefined;
  /** No ACE up to the deciding one looks at more than a flow's fields. */
  readonly eligible: boolean;
}

/** An ACE and its place in the list. */
interface Placed {
  readonly index: number;
  readonly ace: Ace;
}

type KeyPart = number | string;
interface Level extends Map<KeyPart, Level | readonly Placed[]> {}

/** ACEs that fix the same fields. */
interface Table {
  readonly shape: Shape;
  readonly first: number;
  readonly root: Level;
}

interface Shape {
  readonly protocol: boolean;
  readonly sourcePort: boolean;
  readonly destinationPort: boolean;
  readonly source: PrefixShape | undefined;
  readonly destination: PrefixShape | undefined;
}

interface PrefixShape {
  readonly family: AddressFamily;
  readonly lengthBits: number;
}

/** A list of ACEs with tables over it. */
class Lookup {
  readonly #tables: readonly Table[];
  readonly #loose: readonly Placed[];

  constructor(aces: readonly Placed[]) {
    const byShape = new Map<string, { readonly shape: Shape; readonly members: Placed[] }>();
    for (const placed of aces) {
      const shape = shapeOf(placed.ace);
      const text = JSON.stringify(shape);
      const group = byShape.get(text) ?? { shape, members: [] };
      byShape.set(text, group);
      group.members.push(placed);
    }
    const groups = [...byShape.values()];
    const small = groups.filter(({ members }) => members.length < TABLE_ACES_MIN);
    this.#loose = small.flatMap(({ members }) => members).sort((a, b) => a.index - b.index);
    this.#tables = groups
      .filter(({ members }) => members.length >= TABLE_ACES_MIN)
      .map(({ members, shape }) => makeTable(shape, members))
      .sort((a, b) => a.first - b.first);
  }

  /** Returns the earliest ACE that matches. */
  find(tuple: ConntrackTuple, place: FlowPlace): Placed | undefined {
    let best: Placed | undefined;
    for (const placed of this.#loose) {
      if (!matches(placed.ace.match, tuple, place)) continue;
      best = placed;
      break;
    }
    for (const table of this.#tables) {
      if (best !== undefined && best.index < table.first) break;
      for (const placed of lookUp(table, tuple)) {
        if (best !== undefined && best.index < placed.index) break;
        if (!matches(placed.ace.match, tuple, place)) continue;
        best = placed;
        break;
      }
    }
    return best;
  }
}

/** The ACEs of several ACLs in order. */
export class AceIndex {
  /** ACEs that a flow's fields alone decide. */
  readonly #certain: Lookup;
  /** ACEs that may have let the flow's first packet pass: what else it had in it is not known any more. */
  readonly #possible: Lookup;
  readonly #firstPerPacket: number;

  constructor(acls: readonly Acl[]) {
    const aces = acls.flatMap((acl) => acl.aces).map((ace, index): Placed => ({ ace, index }));
    const isUncertain = ({ ace }: Placed): boolean => ace.match.packetFields.length > 0;
    this.#certain = new Lookup(aces.filter((placed) => !isUncertain(placed)));
    this.#possible = new Lookup(
      aces.filter((placed) => isUncertain(placed) && placed.ace.action === "accept"),
    );
    const first = aces.findIndex(({ ace }) => isPerPacket(ace));
    this.#firstPerPacket = first < 0 ? Number.POSITIVE_INFINITY : first;
  }

  /** A per-packet ACE can keep a flow alive but never kill it. */
  decide(tuple: ConntrackTuple, place: FlowPlace): AceDecision {
    const certain = this.#certain.find(tuple, place);
    const eligible = (certain?.index ?? Number.MAX_SAFE_INTEGER) < this.#firstPerPacket;
    if (certain?.ace.action === "accept") return { ace: certain.ace, eligible };
    const possible = this.#possible.find(tuple, place);
    const isEarlier =
      possible !== undefined && (certain === undefined || possible.index < certain.index);
    return { ace: isEarlier ? possible.ace : certain?.ace, eligible };
  }
}

const indexes = new WeakMap<readonly Acl[], AceIndex>();

/** Returns the list's index. */
export function indexOfAcls(acls: readonly Acl[]): AceIndex {
  const known = indexes.get(acls);
  if (known !== undefined) return known;
  const index = new AceIndex(acls);
  indexes.set(acls, index);
  return index;
}

const NOTHING: readonly Placed[] = [];

function makeTable(shape: Shape, members: readonly Placed[]): Table {
  const root: Level = new Map();
  for (const placed of members) {
    const { match } = placed.ace;
    const path: KeyPart[] = [];
    if (match.destination && shape.destination) {
      path.push(addressKey(match.destination.address, shape.destination));
    }
    if (match.source && shape.source) path.push(addressKey(match.source.address, shape.source));
    const port = (of: PortMatch | undefined, fixed: boolean): number =>
      fixed ? (of?.first ?? 0) : 0;
    path.push(
      transportKey(
        match.protocol ?? 0,
        port(match.sourcePort, shape.sourcePort),
        port(match.destinationPort, shape.destinationPort),
      ),
    );
    insert(root, path, placed);
  }
  return { shape, first: members[0]?.index ?? 0, root };
}

function insert(root: Level, path: readonly KeyPart[], placed: Placed): void {
  let level = root;
  for (const part of path.slice(0, -1)) {
    const next = (level.get(part) as Level | undefined) ?? new Map();
    level.set(part, next);
    level = next;
  }
  const last = path.at(-1) ?? "";
  const before = (level.get(last) as readonly Placed[] | undefined) ?? NOTHING;
  if (before === NOTHING) level.set(last, [placed]);
  else (before as Placed[]).push(placed);
}

function lookUp(table: Table, tuple: ConntrackTuple): readonly Placed[] {
  const { shape } = table;
  let level: Level | undefined = table.root;
  if (shape.destination !== undefined) {
    level = stepDown(level, shape.destination, tuple.destinationAddress);
  }
  if (shape.source !== undefined && level !== undefined) {
    level = stepDown(level, shape.source, tuple.sourceAddress);
  }
  const key = transportKey(
    shape.protocol ? tuple.protocol : 0,
    shape.sourcePort ? tuple.sourcePort : 0,
    shape.destinationPort ? tuple.destinationPort : 0,
  );
  return (level?.get(key) as readonly Placed[] | undefined) ?? NOTHING;
}

function stepDown(level: Level, shape: PrefixShape, address: IpAddress): Level | undefined {
  if (familyOf(address) !== shape.family) return undefined;
  return level.get(addressKey(address, shape)) as Level | undefined;
}

const scratch: Ipv6Words = new Int32Array(4);

/** Returns what addresses of one prefix share. */
function addressKey(address: IpAddress, { family, lengthBits }: PrefixShape): KeyPart {
  if (family === 4) return ipv4Bits(address) & maskOfLength(lengthBits);
  if (lengthBits === 128) return address;
  writeIpv6Words(address, scratch);
  let key = "";
  for (let index = 0; 32 * index < lengthBits; index++) {
    key += `${(scratch[index] ?? 0) & maskOfLength(lengthBits - 32 * index)} `;
  }
  return key;
}

function transportKey(protocol: number, sourcePort: number, destinationPort: number): number {
  return (protocol * 65_536 + sourcePort) * 65_536 + destinationPort;
}

function shapeOf({ match }: Ace): Shape {
  // Without a protocol an ICMP flow passes whatever the ports are.
  const hasPorts = match.protocol !== undefined && !isIcmp(match.protocol);
  return {
    protocol: match.protocol !== undefined,
    sourcePort: hasPorts && isExact(match.sourcePort),
    destinationPort: hasPorts && isExact(match.destinationPort),
    source: prefixShape(match.source),
    destination: prefixShape(match.destination),
  };
}

function isExact(port: PortMatch | undefined): boolean {
  return port !== undefined && port.first === port.last && !port.negated;
}

function prefixShape(prefix: IpPrefix | undefined): PrefixShape | undefined {
  return prefix && { family: familyOf(prefix.address), lengthBits: prefix.lengthBits };
}
