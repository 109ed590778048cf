/**
 * The isolation claim: what is one tenant's cannot be had by another, in no field of any message.
 *
 * A program holds the hostile tenant's serial socket and writes, for each field, a message that is its own
 * but for one value, which is the victim's. Refused is what the answer says; applied is what the fast path's
 * maps and packets on the wire say. Then the victim writes the same bytes and gets what they ask for, and
 * the hostile tenant gets the same flow with its own value in that field.
 *
 * Effect: programs in a lab that `addProbes` prepared; nothing is left in the fast path.
 */
import { randomBytes } from "node:crypto";
import type { Lab } from "../../lab/lab.ts";
import { assert } from "../../lib/base/assert.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import { acknowledgeAll, holdFlows, withdrawFlows } from "./isolation-hold.ts";
import {
  listReferenceCases,
  makeReferenceFlows,
  type ReferenceCase,
  type ReferenceEpochs,
} from "./isolation-references.ts";
import { drawEpoch, judgeAnswer, makeRequest, type Verdict } from "./isolation-request.ts";
import { RequestCases } from "./isolation-requests.ts";
import { ProbeSite } from "./isolation-site.ts";
import type { FastPathDump } from "./read-fast-path-maps.ts";

export interface IsolationCase {
  readonly field: string;
  /** What the hostile tenant got. */
  readonly hostile: string;
  /** What the victim got for the same bytes. */
  readonly control: string;
}

export interface IsolationResult {
  readonly crossTenantRequests: number;
  readonly refused: number;
  /** Requests that left a trace in the maps or whose packets were forwarded. */
  readonly applied: number;
  readonly controlsGranted: number;
  readonly cases: readonly IsolationCase[];
}

/** A case when all is over. */
interface Judged extends IsolationCase {
  readonly isRefused: boolean;
  readonly isApplied: boolean;
  readonly isControlled: boolean;
}

/** What came of a request about what exists, at once. */
interface Attacked {
  readonly verdict: Verdict;
  readonly dump: FastPathDump;
}

interface Outcome {
  readonly judged: readonly Judged[];
  /** Requests that nobody may make, so that nobody can be their positive control. */
  readonly apart: readonly IsolationCase[];
}

/** Makes every request and looks what became of it. Throws LAB_FAILED when it cannot look. */
export async function runIsolation(
  lab: Lab,
  announce: (line: string) => void,
): Promise<IsolationResult> {
  const site = await ProbeSite.open(lab);
  try {
    const { judged, apart } = await runCases(site, announce);
    const count = (holds: (one: Judged) => boolean): number => judged.filter(holds).length;
    return {
      crossTenantRequests: judged.length,
      refused: count(({ isRefused }) => isRefused),
      applied: count(({ isApplied }) => isApplied),
      controlsGranted: count(({ isControlled }) => isControlled),
      cases: [
        ...judged.map(({ field, hostile, control }) => ({ field, hostile, control })),
        ...apart.map(({ field, hostile, control }) => ({ field, hostile, control })),
      ],
    };
  } finally {
    await site.close();
  }
}

async function runCases(site: ProbeSite, announce: (line: string) => void): Promise<Outcome> {
  const epochs: ReferenceEpochs = { common: drawEpoch(), older: drawEpoch() };
  const flows = makeReferenceFlows();
  await site.introduceHosts();
  const { shared, updated, withdrawn, tagged, older, oldest } = flows;
  const both = [shared.forward, shared.back];
  await holdFlows(site.victim, epochs.older, [older, oldest]);
  await holdFlows(site.victim, epochs.common, [...both, updated, withdrawn, tagged]);
  await holdFlows(site.hostile, epochs.common, [...both, older]);

  const requests = new RequestCases(site, epochs.common, randomBytes(4).toString("hex"));
  const references = listReferenceCases(site, flows, epochs);
  const { hostile, victim } = site.names;
  announce(
    `${hostile} asks for what is ${victim}'s: ${requests.list.length + references.length} fields`,
  );
  const before = await site.dump();
  await requests.attack();
  const naming = await nameTenant(site);
  const after = await requests.lookForEffects();
  await requests.undo();
  await requests.allowTwins();
  // The last of these ends the common epoch of the hostile tenant, so its own flows came before.
  const attacks: Attacked[] = [];
  for (const one of references) {
    const verdict = await one.attack();
    attacks.push({ verdict, dump: await site.dump() });
  }
  const end = await site.dump();

  announce(`${victim} writes the same bytes, and packets that match them`);
  await requests.control();
  const judged: Judged[] = requests.list.map((one) => ({
    field: one.field,
    hostile: one.hostile.text,
    control: one.control.text,
    isRefused: !one.hostile.isDone,
    isApplied: one.isApplied,
    isControlled: one.control.isDone,
  }));
  for (const [index, one] of references.entries()) {
    judged.push(await judgeReference(one, attacks[index], end));
  }
  judged.push(...naming.filter(({ isRefused }) => !isRefused));
  judged.push(...listStrays(site, { before, after, end }, judged));
  await cleanUp(site, epochs);
  return { judged, apart: naming.filter(({ isRefused }) => isRefused) };
}

async function judgeReference(
  one: ReferenceCase,
  attack: Attacked | undefined,
  end: FastPathDump,
): Promise<Judged> {
  assert(attack !== undefined, "every request was written");
  const control = await one.control();
  return {
    field: one.field,
    hostile: attack.verdict.text,
    control: control.text,
    isRefused: !attack.verdict.isDone,
    isApplied: [attack.dump, end].some((dump) => one.isApplied(dump, attack.verdict)),
    isControlled: control.isDone,
  };
}

/** A message that names a tenant or a virtual machine is refused whoever writes it. */
async function nameTenant(site: ProbeSite): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const element of ["tenant", "virtual-machine"]) {
    const text = `<${element}>${site.names.victim}</${element}></get-flows>`;
    const request = makeRequest(`naming-${element}`, { kind: "get-flows", limit: 1 }, (message) =>
      message.replace("</get-flows>", text),
    );
    const hostile = judgeAnswer(await site.hostile.call(request));
    const control = judgeAnswer(await site.victim.call(request));
    judged.push({
      field: `get-flows with an element "${element}"`,
      hostile: hostile.text,
      control: control.text,
      isRefused: hostile.text.startsWith("refused") && control.text.startsWith("refused"),
      isApplied: false,
      isControlled: false,
    });
  }
  return judged;
}

interface Dumps {
  readonly before: FastPathDump;
  readonly after: FastPathDump;
  readonly end: FastPathDump;
}

/** What changed in the fast path although no case explains it. */
function listStrays(site: ProbeSite, dumps: Dumps, judged: readonly Judged[]): Judged[] {
  if (judged.some(({ isApplied }) => isApplied)) return [];
  const fast = (dump: FastPathDump): number =>
    site.slotOf(dump, "hostile").fastPackets + site.slotOf(dump, "victim").fastPackets;
  const content = (dump: FastPathDump): string =>
    JSON.stringify(dump.entries.map(({ action, state }) => `${action} ${state}`).sort());
  const strays = [
    ...(fast(dumps.before) === fast(dumps.after) ? [] : ["packets took the fast path"]),
    ...(content(dumps.before) === content(dumps.end) ? [] : ["entries of the maps changed"]),
  ];
  return strays.map((hostile) => ({
    field: "anything else",
    hostile,
    control: "none",
    isRefused: true,
    isApplied: true,
    isControlled: false,
  }));
}

/** Gives back everything; throws when something stays. */
async function cleanUp(site: ProbeSite, epochs: ReferenceEpochs): Promise<void> {
  for (const session of [site.hostile, site.victim]) {
    for (const epoch of [epochs.common, epochs.older]) await withdrawFlows(session, epoch, "all");
    await acknowledgeAll(session);
  }
  const left = (await site.dump()).entries.length;
  if (left === 0) return;
  throw new FlowliftError("LAB_FAILED", `${left} entries of the probes stay in the fast path`);
}
