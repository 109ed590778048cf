/**
 * The counter law: what endpoints sent is what the path took, and what it gave is what they got.
 *
 * ```
 * sent(endpoints)                = fast + passed                             at the host's ports
 * passed                         = received(VM)                              at the VM's own interfaces
 * received(VM) + originated(VM)  = sent(VM) + delivered(VM) + drops(VM)      drops counted by reason
 * received(endpoints)            = fast + sent(VM)                           the fast path drops nothing
 * ```
 * Pure. Each line's difference is an error, whatever its sign: none makes up for another.
 */
import type { PacketSum, VmAccountReading } from "../../lab/vm-account.ts";

export interface Reading {
  readonly endpointsSent: PacketSum;
  readonly endpointsReceived: PacketSum;
  readonly vmSent: PacketSum;
  readonly vmReceived: PacketSum;
  readonly fast: PacketSum;
  readonly passed: PacketSum;
  /** Absent where nobody can look into the VM. */
  readonly inside?: VmAccountReading | undefined;
}

/** What the law says about the time between two quiet moments. */
export interface Balance {
  readonly throughFastPath: PacketSum;
  readonly throughVm: PacketSum;
  readonly errorPackets: number;
  readonly errorBytes: number;
  /** Packets that the VM dropped, by reason; only reasons that occurred. Absent as `inside` is. */
  readonly drops?: Readonly<Record<string, number>>;
}

/** A packet of IP has at least and at most so many bytes: for drops whose bytes nobody counts. */
const PACKET_BYTES_MIN = 20;
const PACKET_BYTES_MAX = 65_575;

/** Returns the balance of the time from `opening` to `now`. */
export function balanceOf(opening: Reading, now: Reading): Balance {
  const of = (name: Exclude<keyof Reading, "inside">): PacketSum =>
    subtract(now[name], opening[name]);
  const [fast, passed, vmSent, vmReceived] = [
    of("fast"),
    of("passed"),
    of("vmSent"),
    of("vmReceived"),
  ];
  const outside = (kind: keyof PacketSum): number =>
    Math.abs(of("endpointsSent")[kind] - fast[kind] - passed[kind]) +
    Math.abs(passed[kind] - vmReceived[kind]) +
    Math.abs(of("endpointsReceived")[kind] - fast[kind] - vmSent[kind]);
  const sums = { throughFastPath: fast, throughVm: passed };
  const errors = { errorPackets: outside("packets"), errorBytes: outside("bytes") };
  if (opening.inside === undefined || now.inside === undefined) return { ...sums, ...errors };
  const account = subtractAccount(now.inside, opening.inside);
  const inside = errorInside(vmReceived, vmSent, account);
  return {
    ...sums,
    errorPackets: errors.errorPackets + inside.packets,
    errorBytes: errors.errorBytes + inside.bytes,
    drops: listDrops(account),
  };
}

function errorInside(received: PacketSum, sent: PacketSum, account: VmAccountReading): PacketSum {
  const { delivered, originated } = account;
  const ruleset = Object.values(account.ruleset).reduce(add, { packets: 0, bytes: 0 });
  const missing = (kind: keyof PacketSum): number =>
    received[kind] + originated[kind] - sent[kind] - delivered[kind] - ruleset[kind];
  const kernel = Object.values(account.kernel).reduce((sum, count) => sum + count, 0);
  const bytes = missing("bytes");
  const isPlausible = bytes >= kernel * PACKET_BYTES_MIN && bytes <= kernel * PACKET_BYTES_MAX;
  return {
    packets: Math.abs(missing("packets") - kernel),
    bytes: isPlausible ? 0 : Math.abs(bytes),
  };
}

function listDrops(account: VmAccountReading): Record<string, number> {
  const ruleset = Object.entries(account.ruleset).map(
    ([reason, { packets }]) => [reason, packets] as const,
  );
  return Object.fromEntries(
    [...ruleset, ...Object.entries(account.kernel)].filter(([, packets]) => packets !== 0),
  );
}

function subtractAccount(left: VmAccountReading, right: VmAccountReading): VmAccountReading {
  const ruleset = Object.entries(left.ruleset).map(
    ([reason, sum]) => [reason, subtract(sum, right.ruleset[reason] ?? NOTHING)] as const,
  );
  const kernel = Object.entries(left.kernel).map(
    ([reason, count]) => [reason, count - (right.kernel[reason] ?? 0)] as const,
  );
  return {
    delivered: subtract(left.delivered, right.delivered),
    originated: subtract(left.originated, right.originated),
    ruleset: Object.fromEntries(ruleset),
    kernel: Object.fromEntries(kernel),
  };
}

const NOTHING: PacketSum = { packets: 0, bytes: 0 };

function add(left: PacketSum, right: PacketSum): PacketSum {
  return { packets: left.packets + right.packets, bytes: left.bytes + right.bytes };
}

/** Returns the difference. */
export function subtract(left: PacketSum, right: PacketSum): PacketSum {
  return { packets: left.packets - right.packets, bytes: left.bytes - right.bytes };
}
