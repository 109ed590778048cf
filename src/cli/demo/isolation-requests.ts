/**
 * Carries out the cases of `request-offload`: attack, packets, twins, controls.
 *
 * Effect: talks through both sessions of a site and sends packets in both tenants' networks.
 */
import { FlowliftError } from "../../lib/base/errors.ts";
import type { Epoch, FlowDirection } from "../../offload-protocol/messages.ts";
import type { RawRequest } from "./hostile-session.ts";
import { listRequestCases, type RequestCase } from "./isolation-cases.ts";
import {
  forwardedAs,
  hasArrived,
  isInMaps,
  isProgrammed,
  packetFor,
  wasForwarded,
} from "./isolation-effect.ts";
import { listDirections } from "./isolation-flows.ts";
import { isActivated, withdrawFlows } from "./isolation-hold.ts";
import { PROBE_MACS } from "./isolation-lab.ts";
import { judgeAnswer, requestFlow, type Verdict } from "./isolation-request.ts";
import type { Packet, ProbeSite, Side } from "./isolation-site.ts";
import type { FastPathDump } from "./read-fast-path-maps.ts";

interface Probed extends RequestCase {
  /** Both tenants write exactly this. */
  readonly request: RawRequest;
  readonly twinRequest: RawRequest;
  hostile: Verdict;
  isApplied: boolean;
  twinVerdict: Verdict;
  control: Verdict;
}

type Phase = "attack" | "control";

/** How long packets may take on a busy machine. */
const MEET_MS_MAX = 3000;

const NOT_YET: Verdict = { isDone: false, text: "not tried" };

export class RequestCases {
  readonly list: readonly Probed[];
  readonly #site: ProbeSite;
  readonly #epoch: Epoch;
  readonly #runId: string;

  constructor(site: ProbeSite, epoch: Epoch, runId: string) {
    this.#site = site;
    this.#epoch = epoch;
    this.#runId = runId;
    this.list = listRequestCases().map((one, index) => ({
      ...one,
      request: requestFlow(`case-${index}`, epoch, one.flow),
      twinRequest: requestFlow(`twin-${index}`, epoch, one.twin),
      hostile: NOT_YET,
      isApplied: false,
      twinVerdict: NOT_YET,
      control: NOT_YET,
    }));
  }

  /** The hostile tenant writes every request. */
  async attack(): Promise<void> {
    const { hostile } = this.#site;
    for (const one of this.list) {
      one.hostile = judgeAnswer(await hostile.call(one.request));
      if (one.hostile.isDone) await isActivated(hostile, this.#epoch, one.flow.flowId);
    }
  }

  /** Sends what the requested entries would match, in both networks, and looks at maps and hosts. */
  async lookForEffects(): Promise<FastPathDump> {
    const site = this.#site;
    const packets = (side: Side): Packet[] => this.#packets("attack", side);
    const sent = [...packets("hostile"), ...packets("victim")];
    const { before, after, seen } = await sendAll(site, sent);
    this.list.forEach((one, index) => {
      const own = (["hostile", "victim"] as const).flatMap((side) =>
        this.#packetsOf("attack", index, side),
      );
      const isShown = [before, after].some((dump) => isInMaps(dump, one.flow));
      const isForwarded = own.some((packet) => wasForwarded(packet, seen));
      one.isApplied = isShown || isForwarded;
      const traces = [
        ...(isShown ? ["it is in the maps"] : []),
        ...(isForwarded ? ["its packets are forwarded"] : []),
      ];
      one.hostile = { ...one.hostile, text: [one.hostile.text, ...traces].join(", ") };
    });
    return after;
  }

  /** Withdraws what the hostile tenant was granted although it should not have been. */
  async undo(): Promise<void> {
    const granted = this.list.filter(({ hostile }) => hostile.isDone);
    const flowIds = granted.map(({ flow }) => flow.flowId);
    await withdrawFlows(this.#site.hostile, this.#epoch, flowIds);
  }

  /** The hostile tenant asks for the same with its own values, which it gets. */
  async allowTwins(): Promise<void> {
    const { hostile } = this.#site;
    for (const one of this.list) {
      const answered = judgeAnswer(await hostile.call(one.twinRequest));
      const { flowId } = one.twin;
      const isDone = answered.isDone && (await isActivated(hostile, this.#epoch, flowId));
      one.twinVerdict = { ...answered, isDone };
    }
    await withdrawFlows(
      hostile,
      this.#epoch,
      this.list.map(({ twin }) => twin.flowId),
    );
  }

  /** The victim writes the same bytes: granted, in the maps, and packets take the fast path. */
  async control(): Promise<void> {
    const site = this.#site;
    const granted: Probed[] = [];
    for (const one of this.list) {
      one.control = judgeAnswer(await site.victim.call(one.request));
      if (one.control.isDone) granted.push(one);
    }
    for (const { flow } of granted) await isActivated(site.victim, this.#epoch, flow.flowId);
    const { before, seen } = await sendAll(site, this.#packets("control", "victim"));
    const { vmSlot } = site.slotOf(before, "victim");
    for (const one of granted) {
      const index = this.list.indexOf(one);
      const isShown = isProgrammed(before, one.flow, vmSlot);
      const isForwarded = listDirections(one.flow).every((direction, at) =>
        hasArrived(
          "victim",
          forwardedAs(direction, this.#tag("control", index, at, "victim")),
          seen,
        ),
      );
      one.control = judgeControl(isShown, isForwarded, one.twinVerdict);
    }
    await withdrawFlows(
      site.victim,
      this.#epoch,
      granted.map(({ flow }) => flow.flowId),
    );
  }

  #packets(phase: Phase, side: Side): Packet[] {
    return this.list.flatMap((_, index) => this.#packetsOf(phase, index, side));
  }

  #packetsOf(phase: Phase, index: number, side: Side): Packet[] {
    const flow = this.list[index]?.flow;
    const directions: readonly FlowDirection[] = flow === undefined ? [] : listDirections(flow);
    return directions.map((direction, at) =>
      packetFor(side, direction, this.#tag(phase, index, at, side)),
    );
  }

  #tag(phase: Phase, index: number, direction: number, side: Side): string {
    return `${this.#runId} ${phase} ${index} ${direction} ${side}`;
  }
}

/**
 * Sends packets and waits until the fast path has met every one of them that is for a vNIC of its side;
 * only then does it mean anything that a packet was not seen. Throws LAB_FAILED.
 */
async function sendAll(
  site: ProbeSite,
  packets: readonly Packet[],
): Promise<{ before: FastPathDump; after: FastPathDump; seen: readonly Packet[] }> {
  const before = await site.dump();
  const missing = (dump: FastPathDump): number => {
    const left = (["hostile", "victim"] as const).map((side) => {
      const met = site.packetsMet(dump, side) - site.packetsMet(before, side);
      return Math.max(0, packets.filter((packet) => isForOwnVnic(packet, side)).length - met);
    });
    return left.reduce((sum, count) => sum + count, 0);
  };
  const seen = await site.exchange(packets);
  const untilMs = performance.now() + MEET_MS_MAX;
  let after = await site.dump();
  while (missing(after) > 0 && performance.now() < untilMs) {
    seen.push(...(await site.exchange([])));
    after = await site.dump();
  }
  if (missing(after) > 0) {
    const text = `${missing(after)} of the probes' packets did not reach the fast path`;
    throw new FlowliftError("LAB_FAILED", text);
  }
  seen.push(...(await site.exchange([])));
  return { before, after, seen };
}

function isForOwnVnic({ side, datagram }: Packet, of: Side): boolean {
  if (side !== of) return false;
  const { vnicInside, vnicOutside } = PROBE_MACS;
  return of === "victim" || [vnicInside, vnicOutside].includes(datagram.destinationMac);
}

function judgeControl(isShown: boolean, isForwarded: boolean, twin: Verdict): Verdict {
  const lacks = [
    ...(isShown ? [] : ["the maps do not show it"]),
    ...(isForwarded ? [] : ["its packets are not forwarded"]),
    ...(twin.isDone
      ? []
      : [`with an own value the hostile tenant is not granted it (${twin.text})`]),
  ];
  return lacks.length === 0
    ? { isDone: true, text: "granted: in the maps, packets take the fast path" }
    : { isDone: false, text: `granted, but ${lacks.join(", ")}` };
}
