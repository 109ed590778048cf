/**
 * One request for each field of `request-offload` that could name what is another tenant's.
 *
 * Pure. Each case is one flow with the victim's value in one field, and its twin: the same flow with the
 * hostile tenant's own value there. A field of the reply is the mirror of one of the original (the reply
 * undoes the original), so these cases ask for both directions; the others for the original alone.
 */
import type { AddressFamily } from "../../lib/inet/address.ts";
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
  /** Default: 4. */
  readonly family?: AddressFamily;
  readonly shape: FlowShape;
  readonly hasReply?: boolean;
  /** What is equal in both, beside the plain values. */
  readonly base?: Partial<FlowValues>;
  readonly victim: Partial<FlowValues>;
  /** Default: the plain value. */
  readonly own?: Partial<FlowValues>;
}

const { victimVnicInside, victimVnicOutside, near, far } = PROBE_MACS;

/** Where a translated value stands in the original, and again in the reply that undoes it. */
interface Translation {
  readonly shape: FlowShape;
  readonly end: "inner" | "outer";
  readonly original:
    | "match source"
    | "match destination"
    | "rewrite source"
    | "rewrite destination";
  readonly reply: Translation["original"];
}

const TRANSLATIONS: readonly Translation[] = [
  { shape: "out", end: "inner", original: "match source", reply: "rewrite destination" },
  { shape: "in", end: "outer", original: "match destination", reply: "rewrite source" },
  { shape: "out", end: "outer", original: "rewrite source", reply: "match destination" },
  { shape: "in", end: "inner", original: "rewrite destination", reply: "match source" },
];

type Change = Pick<Spec, "base" | "victim" | "own">;

/** An address that only the victim has. */
function changeAddress(end: Translation["end"], family: AddressFamily): Change {
  const { victimHost, victimPool } = PROBE_ADDRESSES[family];
  return end === "inner"
    ? { victim: { innerAddress: victimHost } }
    : { victim: { outerAddress: victimPool } };
}

/** A port of a shared address on the victim's side of the split, and one on the other's. */
function changePort(end: Translation["end"], family: AddressFamily): Change {
  const { nearSplitPool, splitPool } = PROBE_ADDRESSES[family];
  return end === "inner"
    ? {
        base: { innerAddress: nearSplitPool },
        victim: { innerPort: 40_001 },
        own: { innerPort: 2001 },
      }
    : {
        base: { outerAddress: splitPool },
        victim: { outerPort: 40_000 },
        own: { outerPort: 2000 },
      };
}

function listTranslations(family: AddressFamily): Spec[] {
  const suffix = family === 4 ? "" : " (IPv6)";
  return TRANSLATIONS.flatMap(({ shape, end, original, reply }) =>
    (["address", "port"] as const).flatMap((leaf): Spec[] => {
      const change = (leaf === "address" ? changeAddress : changePort)(end, family);
      const spec = { shape, family, ...change };
      return [
        { ...spec, field: `original ${original}-${leaf}${suffix}` },
        { ...spec, field: `reply ${reply}-${leaf}${suffix}`, hasReply: true },
      ];
    }),
  );
}

const SPECS: readonly Spec[] = [
  { field: "original match vnic", shape: "out", victim: { vnic: victimVnicInside } },
  { field: "original egress vnic", shape: "out", victim: { egressVnic: victimVnicOutside } },
  { field: "original egress next-hop", shape: "out", victim: { nextHop: far } },
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
  ...listTranslations(4),
  ...listTranslations(6),
];

/** The flow ids of cases and of their twins start here. */
export const CASE_FLOW_ID = 1000n;
export const TWIN_FLOW_ID = 2000n;

/** Returns every case. */
export function listRequestCases(): RequestCase[] {
  return SPECS.map((spec, index) => {
    const plain = { ...plainValues(spec.shape, 2 * index, spec.family), ...spec.base };
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
