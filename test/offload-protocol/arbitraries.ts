/** Arbitrary protocol values for property tests. */
import fc from "fast-check";
import {
  formatIpBytes,
  formatMacBytes,
  type IpAddress,
  type MacAddress,
} from "../../src/lib/inet/address.ts";
import { CLOSE_CAUSES } from "../../src/offload-protocol/decode-notification.ts";
import { REFUSAL_REASONS } from "../../src/offload-protocol/decode-reply.ts";
import type {
  DirectionCounters,
  Epoch,
  FlowCounters,
  FlowDirection,
  FlowRewrite,
  HeldFlow,
  OffloadFlow,
  OffloadNotification,
  OffloadReply,
  OffloadRequest,
} from "../../src/offload-protocol/messages.ts";

const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const uint32 = fc.nat(0xffff_ffff);
const port = fc.nat(65_535);

export const epoch: fc.Arbitrary<Epoch> = uint64.map(
  (value) => value.toString(16).padStart(16, "0") as Epoch,
);

const address: fc.Arbitrary<IpAddress> = fc
  .oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  )
  .map(formatIpBytes);

const mac: fc.Arbitrary<MacAddress> = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map(formatMacBytes);

/** Text that XML can carry; markup and surrogate pairs included. */
const name = fc
  .string({ minLength: 1, maxLength: 60, unit: "grapheme" })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML and YANG forbid
  .map((text) => text.replace(/[\u0000-\u001f\ufffe\uffff\ufdd0-\ufdef]/g, "_"))
  .filter((text) => Array.from(text).length <= 64);

function definedOnly<T extends object>(value: T): T {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as T;
}

function option<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

const rewrite: fc.Arbitrary<FlowRewrite> = fc
  .record({
    sourceAddress: option(address),
    destinationAddress: option(address),
    sourcePort: option(port),
    destinationPort: option(port),
  })
  .map((value) => definedOnly(value) as FlowRewrite);

const direction: fc.Arbitrary<FlowDirection> = fc.record({
  match: fc.record({
    vnic: mac,
    protocol: fc.nat(255),
    sourceAddress: address,
    destinationAddress: address,
    sourcePort: port,
    destinationPort: port,
  }),
  rewrite,
  egress: fc.record({ vnic: mac, nextHop: mac, mtuBytes: fc.integer({ min: 576, max: 65_535 }) }),
});

export const flow: fc.Arbitrary<OffloadFlow> = fc
  .record({
    flowId: uint64,
    service: fc.constantFrom("unspecified", "nat", "lb", "firewall"),
    rules: fc.uniqueArray(
      fc.record({ attachment: name, direction: fc.constantFrom("ingress", "egress"), name }),
      { maxLength: 8, selector: (rule) => `${rule.direction} ${rule.attachment}` },
    ),
    policyTag: uint32,
    policyEpoch: uint64,
    directions: fc.constantFrom("both", "original-only"),
    original: direction,
    reply: direction,
    idleTimeoutMs: uint32,
    version: uint64,
  })
  .map((value) => {
    const { reply, ...rest } = value;
    return (value.directions === "both" ? { ...rest, reply } : rest) as OffloadFlow;
  });

const directionCounters: fc.Arbitrary<DirectionCounters> = fc.record({
  fastPackets: uint64,
  fastBytes: uint64,
  passedPackets: uint64,
  passedBytes: uint64,
});

const counters: fc.Arbitrary<FlowCounters> = fc.record({
  original: directionCounters,
  reply: directionCounters,
  lastUsedMsAgo: uint64,
});

const egressUpdate = fc
  .record({ nextHop: option(mac), mtuBytes: option(fc.integer({ min: 576, max: 65_535 })) })
  .map(definedOnly);

export const request: fc.Arbitrary<OffloadRequest> = fc.oneof(
  fc.record({
    kind: fc.constant("request-offload" as const),
    epoch,
    flows: fc.uniqueArray(flow, { minLength: 1, maxLength: 4, selector: (each) => each.flowId }),
  }),
  fc.record({
    kind: fc.constant("withdraw-offload" as const),
    epoch,
    selection: fc.oneof(
      fc.record({
        kind: fc.constant("flow-ids" as const),
        flowIds: fc.uniqueArray(uint64, { minLength: 1, maxLength: 9 }),
      }),
      fc.record({ kind: fc.constant("policy-tag" as const), policyTag: uint32 }),
      fc.record({ kind: fc.constant("all" as const) }),
    ),
  }),
  fc
    .record({
      kind: fc.constant("update-offload" as const),
      epoch,
      flowId: uint64,
      expectedVersion: uint64,
      idleTimeoutMs: option(uint32),
      originalEgress: option(egressUpdate),
      replyEgress: option(egressUpdate),
    })
    .map((value) => definedOnly(value) as OffloadRequest),
  fc
    .record({
      kind: fc.constant("get-flows" as const),
      after: option(fc.record({ epoch, flowId: uint64 })),
      limit: fc.integer({ min: 1, max: 1024 }),
    })
    .map((value) => definedOnly(value) as OffloadRequest),
  fc.record({ kind: fc.constant("renew-lease" as const), epoch }),
  fc.record({ kind: fc.constant("acknowledge-events" as const), sequence: uint64 }),
);

const reason = fc.constantFrom(...REFUSAL_REASONS);

const heldFlow: fc.Arbitrary<HeldFlow> = fc.record({
  epoch,
  flow,
  state: fc.constantFrom("pending", "active", "quiescing"),
  counters,
});

export const reply: fc.Arbitrary<OffloadReply> = fc.oneof(
  fc.record({
    kind: fc.constant("request-offload" as const),
    results: fc.uniqueArray(
      fc.oneof(
        fc.record({
          flowId: uint64,
          outcome: fc.constant("granted-pending" as const),
          effectiveIdleTimeoutMs: uint32,
        }),
        fc.record({ flowId: uint64, outcome: fc.constant("refused" as const), reason }),
        fc.record({
          flowId: uint64,
          outcome: fc.constant("refused" as const),
          reason,
          holder: uint64,
        }),
      ),
      { maxLength: 9, selector: (result) => result.flowId },
    ),
  }),
  fc.record({
    kind: fc.constant("withdraw-offload" as const),
    results: fc.uniqueArray(
      fc.oneof(
        fc.record({ flowId: uint64, outcome: fc.constant("closed" as const), counters }),
        fc.record({ flowId: uint64, outcome: fc.constant("no-such-flow" as const) }),
      ),
      { maxLength: 9, selector: (result) => result.flowId },
    ),
  }),
  fc
    .record({
      kind: fc.constant("update-offload" as const),
      outcome: fc.constantFrom("updated" as const, "refused" as const),
      reason: option(reason),
      version: uint64,
      effectiveIdleTimeoutMs: option(uint32),
    })
    .map((value) => definedOnly(value) as OffloadReply),
  fc.record({
    kind: fc.constant("get-flows" as const),
    asOfSequence: uint64,
    more: fc.boolean(),
    flows: fc.uniqueArray(heldFlow, {
      maxLength: 3,
      selector: (held) => `${held.epoch} ${held.flow.flowId}`,
    }),
  }),
  fc.record({ kind: fc.constant("renew-lease" as const), leaseMs: uint32 }),
  fc.constant({ kind: "acknowledge-events" as const }),
);

export const notification: fc.Arbitrary<OffloadNotification> = fc.oneof(
  fc.record({
    kind: fc.constant("flow-events" as const),
    events: fc.uniqueArray(
      fc.record({
        sequence: uint64,
        epoch,
        flowId: uint64,
        what: fc.oneof(
          fc.record({
            kind: fc.constant("activated" as const),
            directions: fc.constantFrom("both" as const, "original-only" as const),
          }),
          fc.record({ kind: fc.constant("refused-late" as const), reason }),
          fc.record({
            kind: fc.constant("closed" as const),
            cause: fc.constantFrom(...CLOSE_CAUSES),
            counters,
          }),
        ),
      }),
      { maxLength: 5, selector: (event) => event.sequence },
    ),
  }),
  fc.record({
    kind: fc.constant("flow-statistics" as const),
    flows: fc.uniqueArray(fc.record({ epoch, flowId: uint64, counters }), {
      maxLength: 5,
      selector: (statistic) => `${statistic.epoch} ${statistic.flowId}`,
    }),
  }),
  fc.record({ kind: fc.constant("credit" as const), flows: uint32 }),
);
