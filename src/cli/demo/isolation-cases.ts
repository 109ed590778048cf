/**
 * One request for each field of `request-offload` that could name what is another tenant's.
 *
 * Pure. Each case is one flow with the victim's value in one field, and its twin: the same flow with the
 * hostile tenant's own value there. A field of the reply is the mirror of one of the original (the reply
 * undoes the original), so these cases ask for both directions; the others for the original alone.
 */
import type { OffloadFlow } from "../../offload-protocol/messages.ts";
import { type FlowShape, type FlowValues, makeFlow, plainValues } from "./isolation-flows.ts";
import { PROBE_ADDRESSES, PROBE_MACS } from "./isolation-lab.ts";

export interface RequestCase {
  readonly field: string;
  /** The victim's to have. */
  readonly flow: OffloadFlow;
  /** The same, but the hostile tenant's to have. */
  readonly twin: OffloadFlow;
}

interface Spec {
  readonly field: string;
  readonly shape: FlowShape;
  readonly hasReply?: boolean;
  /** What is equal in both, beside the plain values. */
  readonly base?: Partial<FlowValues>;
  readonly victim: Partial<FlowValues>;
  /** Default: the plain value. */
  readonly own?: Partial<FlowValues>;
}

const { victimPool, victimHost, splitPool, nearSplitPool } = PROBE_ADDRESSES;
const { victimVnicInside, victimVnicOutside, near, far } = PROBE_MACS;

const SPLIT_OUTER = { outerAddress: splitPool };
const SPLIT_INNER = { innerAddress: nearSplitPool };
/** Ports of the shared addresses: one on the victim's side of the split, one on the other's. */
const VICTIM_OUTER = { outerPort: 40_000 };
const OWN_OUTER = { outerPort: 2000 };
const VICTIM_INNER = { innerPort: 40_001 };
const OWN_INNER = { innerPort: 2001 };

/** The address and port specs, by where the value stands in the original. */
const TRANSLATIONS: readonly (Omit<Spec, "field" | "hasReply"> & {
  readonly original: string;
  readonly reply: string;
})[] = [
  {
    original: "match source-address",
    reply: "rewrite destination-address",
    shape: "out",
    victim: { innerAddress: victimHost },
  },
  {
    original: "match destination-address",
    reply: "rewrite source-address",
    shape: "in",
    victim: { outerAddress: victimPool },
  },
  {
    original: "match source-port",
    reply: "rewrite destination-port",
    shape: "out",
    base: SPLIT_INNER,
    victim: VICTIM_INNER,
    own: OWN_INNER,
  },
  {
    original: "match destination-port",
    reply: "rewrite source-port",
    shape: "in",
    base: SPLIT_OUTER,
    victim: VICTIM_OUTER,
    own: OWN_OUTER,
  },
  {
    original: "rewrite source-address",
    reply: "match destination-address",
    shape: "out",
    victim: { outerAddress: victimPool },
  },
  {
    original: "rewrite destination-address",
    reply: "match source-address",
    shape: "in",
    victim: { innerAddress: victimHost },
  },
  {
    original: "rewrite source-port",
    reply: "match destination-port",
    shape: "out",
    base: SPLIT_OUTER,
    victim: VICTIM_OUTER,
    own: OWN_OUTER,
  },
  {
    original: "rewrite destination-port",
    reply: "match source-port",
    shape: "in",
    base: SPLIT_INNER,
    victim: VICTIM_INNER,
    own: OWN_INNER,
  },
];

const SPECS: readonly Spec[] = [
  { field: "original match vnic", shape: "out", victim: { vnic: victimVnicInside } },
  { field: "original egress vnic", shape: "out", victim: { egressVnic: victimVnicOutside } },
  { field: "original egress next-hop", shape: "out", victim: { nextHop: far } },
  ...TRANSLATIONS.map(({ original, reply: _, ...spec }) => ({
    field: `original ${original}`,
    ...spec,
  })),
  {
    field: "reply match vnic",
    shape: "out",
    hasReply: true,
    victim: { replyVnic: victimVnicOutside },
  },
  {
    field: "reply egress vnic",
    shape: "out",
    hasReply: true,
    victim: { replyEgressVnic: victimVnicInside },
  },
  { field: "reply egress next-hop", shape: "out", hasReply: true, victim: { replyNextHop: near } },
  ...TRANSLATIONS.map(({ original: _, reply, ...spec }) => ({
    field: `reply ${reply}`,
    hasReply: true,
    ...spec,
  })),
];

/** The flow ids of cases and of their twins start here. */
export const CASE_FLOW_ID = 1000n;
export const TWIN_FLOW_ID = 2000n;

/** Returns every case. */
export function listRequestCases(): RequestCase[] {
  return SPECS.map((spec, index) => {
    const plain = { ...plainValues(spec.shape, 2 * index), ...spec.base };
    const options = { hasReply: spec.hasReply ?? false };
    const apart = (values: Partial<FlowValues>): FlowValues =>
      spread({ ...plain, ...values }, index);
    return {
      field: `request-offload ${spec.field}`,
      flow: makeFlow(CASE_FLOW_ID + BigInt(index), spec.shape, apart(spec.victim), options),
      twin: makeFlow(TWIN_FLOW_ID + BigInt(index), spec.shape, apart(spec.own ?? {}), options),
    };
  });
}

/** Ports that a spec names stay on their side of the split, and differ from case to case. */
function spread(values: FlowValues, index: number): FlowValues {
  const move = (port: number): number =>
    port >= 20_000 && port < 40_000 ? port : port + 2 * index;
  return { ...values, innerPort: move(values.innerPort), outerPort: move(values.outerPort) };
}
