/**
 * A commit that forbids live flows: how long until the last packet of each.
 *
 * Effect: commits and traffic. Half of the flows are on the fast path; the other half match a rule on DSCP,
 * which depends on each packet, so that they stay in the VM.
 */
import { type RunningProgram, startProgram } from "../../lab/traffic/program.ts";
import {
  countActiveFlows,
  type DemoContext,
  type DemoTenant,
  SERVER_V4,
  waitUntil,
} from "./context.ts";
import type { SinkResult, StreamOptions } from "./flow-stream.ts";
import { REVOKED_FLOWS } from "./report.ts";

const STREAM_ENTRY = "cli/demo/flow-stream.js";
const FAST_PORT = 7000;
const SLOW_PORT = 7001;
/** For each half; together above 10,000. */
const RATE_PPS = 6000;
const STREAM_SEC = 3;
const OFFLOAD_WAIT_MS = 1500;
const STEADY_MS = 300;
/** A flow whose last packet is older than this before the commit was not running. */
const ALIVE_MS = 100;
const ACL = "demo-revocation";
const NS_ACL = "urn:ietf:params:xml:ns:yang:ietf-access-control-list";
const NS_ZONES = "urn:flowlift:zones";
const NC = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"';

export interface Revocation {
  /** One for each flow: from the sending of `<commit>` to its last packet at the server. */
  readonly lastPacketMs: readonly number[];
  readonly late: number;
}

function formatAce(name: string, port: number, extra: string, forwarding: string): string {
  return (
    `<ace><name>${name}</name><matches><ipv4>${extra}<protocol>17</protocol></ipv4><udp>` +
    `<destination-port><operator>eq</operator><port>${port}</port></destination-port></udp></matches>` +
    `<actions><forwarding>${forwarding}</forwarding></actions></ace>`
  );
}

/** The ACL of the policy from inside to outside: both halves accepted, one by a rule on DSCP, or both dropped. */
function formatAcl(forwarding: "accept" | "drop"): string {
  const perPacket = forwarding === "accept" ? "<dscp>0</dscp>" : "";
  return (
    `<acls xmlns="${NS_ACL}" ${NC}><acl nc:operation="replace"><name>${ACL}</name>` +
    `<type>ipv4-acl-type</type><aces>${formatAce("fast", FAST_PORT, "", forwarding)}` +
    `${formatAce("slow", SLOW_PORT, perPacket, forwarding)}</aces></acl></acls>`
  );
}

function formatPolicyAcl(operation: "merge" | "delete"): string {
  return (
    `<zones xmlns="${NS_ZONES}" ${NC}><policy><name>out</name>` +
    `<acl nc:operation="${operation}">${ACL}</acl></policy></zones>`
  );
}

/** Cuts twenty running flows by a commit, and puts the configuration back. */
export async function revokeFlows(context: DemoContext, tenant: DemoTenant): Promise<Revocation> {
  const { netconf } = tenant;
  await netconf.edit(formatAcl("accept") + formatPolicyAcl("merge"));
  await netconf.commit();
  const before = await countActiveFlows(context, tenant);
  const half = REVOKED_FLOWS / 2;
  const seconds = STREAM_SEC * context.slowness; // The streams outlive the commit.
  const streams = [
    await startStream(context, tenant, { port: FAST_PORT, firstFlow: 0, flows: half, seconds }),
    await startStream(context, tenant, { port: SLOW_PORT, firstFlow: half, flows: half, seconds }),
  ];
  const offloaded = await waitUntil(
    async () => (await countActiveFlows(context, tenant)) >= before + half,
    OFFLOAD_WAIT_MS * context.slowness,
  );
  const active = (await countActiveFlows(context, tenant)) - before;
  if (!offloaded || active !== half) {
    context.problems.push(`${tenant.name}: ${active} of the ${half} fast flows are offloaded`);
  }
  await new Promise((resolve) => setTimeout(resolve, STEADY_MS));
  await netconf.edit(formatAcl("drop"));
  const sentAt = process.hrtime.bigint();
  const reply = await netconf.commit();
  const answeredAt = process.hrtime.bigint();
  const results = (await Promise.all(streams.map(({ flows }) => flows))).flat();
  await netconf.edit(
    formatPolicyAcl("delete") +
      `<acls xmlns="${NS_ACL}" ${NC}><acl nc:operation="delete"><name>${ACL}</name></acl></acls>`,
  );
  await netconf.commit();
  return judge(context, tenant, results, { sentAt, answeredAt, reply });
}

interface Moment {
  readonly sentAt: bigint;
  readonly answeredAt: bigint;
  readonly reply: string;
}

function judge(
  context: DemoContext,
  tenant: DemoTenant,
  flows: SinkResult["flows"],
  { sentAt, answeredAt, reply }: Moment,
): Revocation {
  const toMs = (from: bigint, to: bigint): number => Number(to - from) / 1e6;
  const lastPacketMs = flows.map(({ lastNs }) => toMs(sentAt, BigInt(lastNs)));
  const dead = lastPacketMs.filter((ms) => ms < -ALIVE_MS).length;
  if (flows.length !== REVOKED_FLOWS || dead > 0) {
    context.problems.push(
      `${tenant.name}: of ${REVOKED_FLOWS} flows ${flows.length} were seen, ${dead} had ended before`,
    );
  }
  const afterReply = flows.filter(({ lastNs }) => BigInt(lastNs) > answeredAt).length;
  // A commit names what it could not cut in time.
  const named = reply.split("<late-revocations")[1]?.match(/<flow>/g)?.length ?? 0;
  return { lastPacketMs: lastPacketMs.map((ms) => Math.max(0, ms)), late: afterReply + named };
}

/** Starts a sink and its source; `flows` resolves when the stream has ended. */
async function startStream(
  context: DemoContext,
  tenant: DemoTenant,
  part: Pick<StreamOptions, "port" | "firstFlow" | "flows" | "seconds">,
): Promise<{ readonly flows: Promise<SinkResult["flows"]> }> {
  const options: StreamOptions = {
    ...part,
    address: SERVER_V4,
    ratePps: Math.ceil(RATE_PPS / context.slowness),
  };
  const { seconds } = part;
  const sink = runStream(context, `${tenant.name}/www`, "sink", options, seconds + 1);
  await sink.waitReady();
  const source = runStream(context, `${tenant.name}/client1`, "source", options, seconds);
  const flows = Promise.all([sink.result, source.result]).then(
    ([text]) => (JSON.parse(text ?? "") as SinkResult).flows,
  );
  return { flows };
}

function runStream(
  context: DemoContext,
  machine: string,
  mode: "source" | "sink",
  options: StreamOptions,
  seconds: number,
): RunningProgram {
  const words = [...context.lab.nodeWords(STREAM_ENTRY), mode];
  const argv = [...words, JSON.stringify({ ...options, seconds })];
  return startProgram(context.lab, machine, argv, mode);
}
