/**
 * Flows a second from conntrack event to `active`, and how long one takes. Effect: UDP flows in a lab.
 *
 * One datagram each way makes a flow; with worthiness 0 every answered flow is requested.
 */
import { percentileOf } from "../../lib/base/statistics.ts";
import { type Figure, makeFigure } from "./report.ts";
import { type BenchRig, SERVER_ADDRESS } from "./rig.ts";

const ECHO_PORT = 9004;
const CLIENTS = [
  { host: "red/client1", address: "10.0.0.10" },
  { host: "red/client2", address: "10.0.0.11" },
];
/** Each round takes its own local ports, so that no tuple comes twice; all rounds together fit the table. */
const FLOWS_MAX = 56_000;
const FIRST_PORT = 1100;
const PACED_FIRST_PORT = 40_000;
const POLL_MS = 20;
/** Nothing became active for this long: the round is over. */
const QUIET_MS = 1000;
const PACED_RATE_PER_SEC = 1000;
const PACED_SEC = 2;
/** A little more than come in the time. */
const PACED_FLOWS = 2500;
/** More would leave no room in the table for the storms. */
const PACED_ROUNDS_MAX = 3;
const ACTIVE_COUNT = "flowlift_time_to_active_seconds_count";
const NS_STATE = "urn:flowlift:offload-state";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function countActive(rig: BenchRig): Promise<number> {
  return (await rig.readMetrics()).get(ACTIVE_COUNT) ?? 0;
}

/** Returns flows a second between the first and the last that became active. */
async function measureStorm(rig: BenchRig, round: number, rounds: number): Promise<number> {
  const flows = Math.min(10_000, Math.floor(FLOWS_MAX / rounds / CLIENTS.length));
  const target = { address: SERVER_ADDRESS, port: ECHO_PORT };
  const server = rig.start("red/www", "udp-echo", { ...target, seconds: 120 });
  await server.ready;
  const before = await countActive(rig);
  const sourcePort = FIRST_PORT + round * flows;
  const storms = CLIENTS.map(({ host, address }) =>
    rig.start(host, "udp-exchange", {
      ...{ ...target, sourceAddress: address, sourcePort },
      ...{ flows, seconds: 60 },
    }),
  );
  let first = { at: 0, count: before };
  let last = { at: performance.now(), count: before };
  while (performance.now() - last.at < QUIET_MS || first.at === 0) {
    await sleep(POLL_MS);
    const count = await countActive(rig);
    const at = performance.now();
    if (count > last.count) last = { at, count };
    if (first.at === 0 && count > before) first = { at, count };
    if (first.at === 0 && at - last.at > 20 * QUIET_MS) break; // None at all: the figure is 0.
  }
  await Promise.all(storms.map((storm) => storm.result));
  server.stop();
  await server.result;
  return first.at === 0 ? 0 : (last.count - first.count) / ((last.at - first.at) / 1000);
}

/** Returns the median time to active in ms of flows that come at a steady rate. */
async function measurePaced(rig: BenchRig, round: number): Promise<number | undefined> {
  const target = { address: SERVER_ADDRESS, port: ECHO_PORT };
  const server = rig.start("red/www", "udp-echo", { ...target, seconds: 120 });
  await server.ready;
  const before = await readBuckets(rig);
  const paced = rig.start("red/client1", "udp-exchange", {
    ...{ ...target, sourceAddress: "10.0.0.10", ratePerSec: PACED_RATE_PER_SEC },
    ...{ sourcePort: PACED_FIRST_PORT + round * PACED_FLOWS, seconds: PACED_SEC },
  });
  await paced.result;
  await sleep(QUIET_MS);
  const after = await readBuckets(rig);
  server.stop();
  await server.result;
  return medianOfBuckets(before, after);
}

type Buckets = readonly (readonly [boundMs: number, cumulated: number])[];

/** As the appliance saw it: from conntrack event to the controller's word. */
async function readBuckets(rig: BenchRig): Promise<Buckets> {
  const filter = `<offload-state xmlns="${NS_STATE}"><time-to-active/></offload-state>`;
  const reply = await rig.netconf.mustCall(`<get><filter>${filter}</filter></get>`);
  const pattern = /<bucket><up-to>(\d+)<\/up-to><count>(\d+)<\/count><\/bucket>/g;
  return [...reply.matchAll(pattern)].map(([, upToUs, count]) => [
    Number(upToUs) / 1000,
    Number(count),
  ]);
}

/** Returns the upper bound of the bucket that holds the median of what came in between. */
function medianOfBuckets(before: Buckets, after: Buckets): number | undefined {
  const samples: number[] = [];
  let seen = 0;
  for (const [index, [bound, cumulated]] of after.entries()) {
    const count = cumulated - (before[index]?.[1] ?? 0);
    samples.push(...new Array<number>(Math.max(0, count - seen)).fill(bound));
    seen = count;
  }
  return percentileOf(samples, 0.5);
}

/** Paced rounds first, while little else is on the fast path; then the storms, which stay there. */
export async function measureFlows(rig: BenchRig, rounds: number): Promise<Figure[]> {
  const perSecond: number[] = [];
  const medians: number[] = [];
  await rig.setOffloadPolicy(true, 0);
  for (let round = 0; round < Math.min(rounds, PACED_ROUNDS_MAX); round++) {
    const median = await measurePaced(rig, round);
    if (median !== undefined) medians.push(median);
  }
  for (let round = 0; round < rounds; round++) {
    perSecond.push(await measureStorm(rig, round, rounds));
  }
  await rig.setOffloadPolicy(true, 16);
  return [
    makeFigure(
      { id: "flows-to-active", unit: "1/s", target: { of: "value", bound: "min", at: 20_000 } },
      perSecond,
    ),
    makeFigure(
      {
        id: "time-to-active-p50-at-1000-per-second",
        unit: "ms",
        target: { of: "value", bound: "max", at: 2 },
      },
      medians,
    ),
  ];
}
