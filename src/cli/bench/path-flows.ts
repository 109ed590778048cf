/**
 * Flows a second from conntrack event to `active`, and how long one takes. Effect: UDP flows in a lab.
 *
 * One datagram each way makes a flow; with worthiness 0 every answered flow is requested.
 */
import { percentileOf } from "../../lib/base/statistics.ts";
import {
  STORM_FLOWS,
  STORM_PROCESSES,
  STORM_RATE_PER_SEC,
  type StormResult,
  StormSite,
} from "./path-storm.ts";
import { type Figure, makeFigure } from "./report.ts";
import { type BenchRig, SERVER_ADDRESS } from "./rig.ts";

const ECHO_PORT = 9004;
/** What the storms are made of; part of the figure's record. */
const LOAD =
  `${STORM_FLOWS} UDP flows offered at ${STORM_RATE_PER_SEC}/s: one frame each way, written by two ` +
  "AF_PACKET programs, returned by a BPF program at the server, counted by another at the clients";
/** Each round takes its own local ports, so that no tuple comes twice. */
const PACED_FIRST_PORT = 40_000;
/** What is still on its way arrives within this time. */
const QUIET_MS = 1000;
const PACED_RATE_PER_SEC = 1000;
const PACED_SEC = 2;
/** A little more than come in the time. */
const PACED_FLOWS = 2500;
/** More tell nothing new. */
const PACED_ROUNDS_MAX = 3;
const NS_STATE = "urn:flowlift:offload-state";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Returns the median time to active in ms of flows that come at a steady rate. */
async function measurePaced(rig: BenchRig, round: number): Promise<number | undefined> {
  const target = { address: SERVER_ADDRESS, port: ECHO_PORT };
  const server = rig.start("red/www", "udp-echo", { ...target, seconds: 120 });
  await server.waitReady();
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

/** Paced rounds first, while little else is on the fast path; then the storms. */
export async function measureFlows(rig: BenchRig, rounds: number): Promise<Figure[]> {
  const medians: number[] = [];
  await rig.setOffloadPolicy(true, 0);
  for (let round = 0; round < Math.min(rounds, PACED_ROUNDS_MAX); round++) {
    const median = await measurePaced(rig, round);
    if (median !== undefined) medians.push(median);
  }
  const figures = await measureStorms(rig, rounds);
  await rig.setOffloadPolicy(true, 16);
  return [
    ...figures,
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

/** The same flows with offload switched off tell what the kernel and the load itself cost. */
async function measureStorms(rig: BenchRig, rounds: number): Promise<Figure[]> {
  const site = new StormSite(rig);
  try {
    await rig.setOffloadPolicy(false, 0);
    const plain = await site.run(false);
    await rig.setOffloadPolicy(true, 0);
    const storms: StormResult[] = [];
    for (let round = 0; round < rounds; round++) storms.push(await site.run(true));
    const cost = (name: string, values: readonly number[]): Figure =>
      makeFigure({ id: `flows-to-active-cpu-${name}`, unit: "us/flow" }, values);
    return [
      makeFigure(
        {
          id: "flows-to-active",
          unit: "1/s",
          target: { of: "value", bound: "min", at: 20_000 },
          load: LOAD,
        },
        storms.map(({ activePerSec }) => activePerSec),
      ),
      ...STORM_PROCESSES.map((name, index) =>
        cost(
          name.replace("red-gw/", "appliance-"),
          storms.map(({ processUs }) => processUs[index] ?? 0),
        ),
      ),
      cost(
        "load-and-kernel",
        storms.map(({ restUs }) => restUs),
      ),
      cost("load-and-kernel-without-offload", [plain.restUs]),
    ];
  } finally {
    site.close();
  }
}
