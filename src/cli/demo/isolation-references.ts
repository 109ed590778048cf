/**
 * Requests about flows that exist: the victim's flow ids, epochs, tags, sequence numbers, next hops.
 *
 * What refused means where a message cannot be refused as such:
 *   get-flows           the answer holds nothing of the victim's
 *   acknowledge-events  the victim is told its events again when its session opens anew
 *   renew-lease         the deadline of the victim's slot in the maps stays where it was
 * Effect: talks through the two sessions of a site.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MacAddress } from "../../lib/inet/address.ts";
import type {
  Epoch,
  OffloadFlow,
  OffloadRequest,
  WithdrawSelection,
} from "../../offload-protocol/messages.ts";
import type { Answer, HostileSession, RawRequest } from "./hostile-session.ts";
import { findEntries } from "./isolation-effect.ts";
import { listDirections, makeFlow, plainValues } from "./isolation-flows.ts";
import { PROBE_MACS } from "./isolation-lab.ts";
import { judgeAnswer, makeRequest, type Verdict } from "./isolation-request.ts";
import type { ProbeSite, Side } from "./isolation-site.ts";
import { eventually, SETTLE_MS, settled } from "./isolation-wait.ts";
import type { DumpedEntry, FastPathDump } from "./read-fast-path-maps.ts";

/** A request about what exists; both tenants write the same bytes. */
export interface ReferenceCase {
  readonly field: string;
  readonly request: RawRequest;
  /** The hostile tenant writes it; `isDone` is false when it was refused. */
  attack(): Promise<Verdict>;
  /** Whether what it asked for came about: by the maps, or by what `attack()` saw at the victim. */
  isApplied(dump: FastPathDump, attack: Verdict): boolean;
  /** The victim writes it; `isDone` is true when it was carried out. */
  control(): Promise<Verdict>;
}

/** Flows that exist while the requests are made. */
export interface ReferenceFlows {
  /** Held by both tenants under the same ids. */
  readonly shared: { readonly forward: OffloadFlow; readonly back: OffloadFlow };
  /** The victim's alone, in the common epoch. */
  readonly updated: OffloadFlow;
  readonly withdrawn: OffloadFlow;
  readonly tagged: OffloadFlow;
  /** The victim's alone, in its older epoch; the hostile tenant has its flow id in the common one. */
  readonly older: OffloadFlow;
  /** As well, under an id that the hostile tenant has nowhere. */
  readonly oldest: OffloadFlow;
}

export interface ReferenceEpochs {
  readonly common: Epoch;
  /** Only the victim ever used it. */
  readonly older: Epoch;
}

const VICTIM_TAG = 4242;
const CHANGED_MTU_BYTES = 1400;

export function makeReferenceFlows(): ReferenceFlows {
  const flow = (id: number, policyTag = 1): OffloadFlow =>
    makeFlow(BigInt(id), "out", plainValues("out", 500 + id), { hasReply: true, policyTag });
  return {
    shared: { forward: flow(21), back: flow(22) },
    updated: flow(11),
    withdrawn: flow(12),
    tagged: flow(13, VICTIM_TAG),
    older: flow(14),
    oldest: flow(15),
  };
}

/** Returns every case, in the order in which they can be made. */
export function listReferenceCases(
  site: ProbeSite,
  flows: ReferenceFlows,
  epochs: ReferenceEpochs,
): ReferenceCase[] {
  const { common, older } = epochs;
  const { forward, back } = flows.shared;
  const { far, near } = PROBE_MACS;
  const mtuBytes = CHANGED_MTU_BYTES;
  const make = new ReferenceCases(site);
  return [
    make.inMaps(
      "update-offload original-egress next-hop",
      { ...updateOf(forward, common), originalEgress: { nextHop: far } },
      (dump, { sender }) => leadsTo(dump, forward, sender, far),
    ),
    make.inMaps(
      "update-offload reply-egress next-hop",
      { ...updateOf(back, common), replyEgress: { nextHop: near } },
      (dump, { sender }) => leadsTo(dump, back, sender, near),
    ),
    make.inMaps(
      "update-offload flow-id",
      { ...updateOf(flows.updated, common), originalEgress: { mtuBytes } },
      (dump, { victim }) => hasMtu(dump, flows.updated, victim, mtuBytes),
    ),
    make.inMaps(
      "update-offload epoch",
      { ...updateOf(flows.older, older), originalEgress: { mtuBytes } },
      (dump, { victim }) => hasMtu(dump, flows.older, victim, mtuBytes),
    ),
    make.inMaps(
      "withdraw-offload flow-id",
      withdrawalOf(common, { kind: "flow-ids", flowIds: [flows.withdrawn.flowId] }),
      (dump, { victim }) => entriesOf(dump, flows.withdrawn, victim).length === 0,
    ),
    make.inMaps(
      "withdraw-offload policy-tag",
      withdrawalOf(common, { kind: "policy-tag", policyTag: VICTIM_TAG }),
      (dump, { victim }) => entriesOf(dump, flows.tagged, victim).length === 0,
    ),
    make.paging(older),
    make.inMaps(
      "withdraw-offload epoch",
      withdrawalOf(older, { kind: "flow-ids", flowIds: [flows.older.flowId] }),
      (dump, { victim }) => entriesOf(dump, flows.older, victim).length === 0,
    ),
    make.inMaps(
      "withdraw-offload all, epoch",
      withdrawalOf(older, { kind: "all" }),
      (dump, { victim }) => entriesOf(dump, flows.oldest, victim).length === 0,
    ),
    make.acknowledging(),
    make.renewing(older), // Last: it ends the common epoch of the hostile tenant.
  ];
}

type Update = OffloadRequest & { readonly kind: "update-offload" };

function updateOf({ flowId }: OffloadFlow, epoch: Epoch): Update {
  return { kind: "update-offload", epoch, flowId, expectedVersion: 1n };
}

function withdrawalOf(epoch: Epoch, selection: WithdrawSelection): OffloadRequest {
  return { kind: "withdraw-offload", epoch, selection };
}

function entriesOf(dump: FastPathDump, flow: OffloadFlow, slot: number): DumpedEntry[] {
  return listDirections(flow)
    .flatMap((direction) => findEntries(dump, direction))
    .filter(({ vmSlot }) => vmSlot === slot);
}

function leadsTo(dump: FastPathDump, flow: OffloadFlow, slot: number, mac: MacAddress): boolean {
  return entriesOf(dump, flow, slot).some(({ direction }) => direction.newDestinationMac === mac);
}

function hasMtu(dump: FastPathDump, flow: OffloadFlow, slot: number, mtuBytes: number): boolean {
  return entriesOf(dump, flow, slot).some(({ direction }) => direction.mtuBytes === mtuBytes);
}

/** Whose entries are looked at. */
interface Slots {
  readonly sender: number;
  readonly victim: number;
}

class ReferenceCases {
  readonly #site: ProbeSite;

  constructor(site: ProbeSite) {
    this.#site = site;
  }

  /** `isEffective` says whether the maps show the request carried out, for the VM of `slot`. */
  inMaps(
    field: string,
    message: OffloadRequest,
    isEffective: (dump: FastPathDump, slots: Slots) => boolean,
  ): ReferenceCase {
    const site = this.#site;
    const request = makeRequest(field.replaceAll(/\W+/g, "-"), message);
    const isShown = (dump: FastPathDump, sender: Side): boolean =>
      isEffective(dump, {
        sender: site.slotOf(dump, sender).vmSlot,
        victim: site.slotOf(dump, "victim").vmSlot,
      });
    return {
      field,
      request,
      attack: async () => {
        const verdict = judgeAnswer(await site.hostile.call(request));
        if (verdict.isDone) await sleep(SETTLE_MS);
        return verdict;
      },
      isApplied: (dump) => isShown(dump, "hostile"),
      control: async () => {
        const verdict = judgeAnswer(await site.victim.call(request));
        if (!verdict.isDone) return verdict;
        // The driver is told of an update after its answer.
        const isDone = await eventually(async () => isShown(await site.dump(), "victim"));
        const text = isDone ? "and the maps show it" : "but the maps do not show it";
        return { isDone, text: `${verdict.text}, ${text}` };
      },
    };
  }

  /** Pages from the victim's older epoch on. */
  paging(older: Epoch): ReferenceCase {
    const after = { epoch: older, flowId: 0n };
    const request = makeRequest("get-flows-after", { kind: "get-flows", after, limit: 1024 });
    const look = async (session: HostileSession): Promise<Verdict> => {
      const answer: Answer = await session.call(request);
      if (answer.kind !== "get-flows") return judgeAnswer(answer);
      const isDone = answer.flows.some(({ epoch }) => epoch === older);
      const text = isDone
        ? "answered with the victim's flow"
        : "refused: nothing of the victim's in the answer";
      return { isDone, text };
    };
    return {
      field: "get-flows after-epoch, after-flow-id",
      request,
      attack: () => look(this.#site.hostile),
      isApplied: (_, { isDone }) => isDone,
      control: () => look(this.#site.victim),
    };
  }

  /** Acknowledges what the victim was told last. */
  acknowledging(): ReferenceCase {
    const { hostile, victim } = this.#site;
    const sequence = victim.events.at(-1)?.sequence ?? 0n;
    const request = makeRequest("acknowledge", { kind: "acknowledge-events", sequence });
    const held = (): number => victim.events.filter((event) => event.sequence <= sequence).length;
    /** Returns how many events the victim had, and how many it is told again. */
    const look = async (session: HostileSession, expected: (count: number) => number) => {
      const count = held();
      await session.call(request);
      await victim.reopen();
      const isAsExpected = async (): Promise<boolean> => held() === expected(count);
      if (await eventually(isAsExpected)) await sleep(SETTLE_MS);
      return { count, repeated: held() };
    };
    return {
      field: "acknowledge-events sequence",
      request,
      attack: async () => {
        const { count, repeated } = await look(hostile, (had) => had);
        return count > 0 && repeated === count
          ? { isDone: false, text: `refused: the victim is told its ${count} events again` }
          : { isDone: true, text: `the victim is told ${repeated} of ${count} events again` };
      },
      isApplied: (_, { isDone }) => isDone,
      control: async () => {
        const { count, repeated } = await look(victim, () => 0);
        const text = `answered, ${repeated} of ${count} events told again`;
        return { isDone: count > 0 && repeated === 0, text };
      },
    };
  }

  /** Renews the lease of the victim's older epoch. */
  renewing(older: Epoch): ReferenceCase {
    const site = this.#site;
    const request = makeRequest("renew-lease", { kind: "renew-lease", epoch: older });
    const deadline = async (): Promise<string> =>
      site.slotOf(await site.dump(), "victim").deadlineNs;
    const look = async (session: HostileSession, isExpected: boolean): Promise<Verdict> => {
      const before = await settled(deadline); // The victim's session may just have been opened.
      const { text } = judgeAnswer(await session.call(request));
      const hasMoved = async (): Promise<boolean> => (await deadline()) !== before;
      if (!isExpected) await sleep(SETTLE_MS);
      const isDone = isExpected ? await eventually(hasMoved) : await hasMoved();
      return isDone
        ? { isDone, text: `${text}, the deadline in the maps moved` }
        : { isDone, text: "refused: the victim's deadline in the maps stays" };
    };
    return {
      field: "renew-lease epoch",
      request,
      attack: () => look(site.hostile, false),
      isApplied: (_, { isDone }) => isDone,
      control: () => look(site.victim, true),
    };
  }
}
