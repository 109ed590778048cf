/** Packets and bytes a second: slow path, fast path, plain forwarding, and what a miss costs. Effect: traffic in a lab. */
import { type Figure, makeFigure } from "./report.ts";
import { type BenchRig, BLAST_CLIENT, SERVER_ADDRESS } from "./rig.ts";

const BULK_PORT = 9002;
const BLAST_SEC = 2;
/** The server answers this long, the client exchanges a little longer: flows are answered, then worthy. */
const ANSWER_SEC = 1.5;
const WARM_UP_SEC = 2;
/** Until the sender has started to blast. */
const SETTLE_MS = 700;
const MEASURE_MS = 1000;
const BULK_SEC = 1.5;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Frames a second that arrive at `tenant`'s server from its client, once flows have settled.
 *
 * The server answers while the flows become worthy; then everything that arrives is counted and dropped at
 * its interface, so that neither the sender nor the receiver is what is measured.
 */
export async function measurePackets(rig: BenchRig, tenant: string): Promise<number> {
  const target = { address: SERVER_ADDRESS, port: rig.takePort() };
  const answering = { ...target, seconds: 30, warmUpSeconds: ANSWER_SEC };
  const hold = rig.start(`${tenant}/www`, "udp-hold", answering);
  await hold.waitReady();
  const blast = rig.start(`${tenant}/${BLAST_CLIENT}`, "udp-blast", {
    ...{ ...target, seconds: BLAST_SEC, warmUpSeconds: WARM_UP_SEC },
    ...rig.neighbourOf(tenant, BLAST_CLIENT),
  });
  await sleep(WARM_UP_SEC * 1000);
  const sink = rig.attachSink(`${tenant}/www`, target.port);
  await sleep(SETTLE_MS);
  const before = sink.read();
  const started = performance.now();
  await sleep(MEASURE_MS);
  const arrived = Number(sink.read() - before);
  const seconds = (performance.now() - started) / 1000;
  await blast.result;
  sink.detach();
  hold.stop();
  await hold.result;
  return arrived / seconds;
}

/** Bits a second of one TCP stream from `tenant`'s client to its server. */
export async function measureBulk(rig: BenchRig, tenant: string): Promise<number> {
  const options = { address: SERVER_ADDRESS, port: BULK_PORT, seconds: BULK_SEC };
  const sink = rig.start(`${tenant}/www`, "tcp-sink", options);
  await sink.waitReady();
  const source = rig.start(`${tenant}/${BLAST_CLIENT}`, "tcp-source", options);
  await source.result;
  const { bytes = 0, seconds = 1 } = await sink.result;
  return (8 * bytes) / seconds;
}

/** Runs every side once in each round, so that noise meets all of them alike. */
export async function measureThroughput(rig: BenchRig, rounds: number): Promise<Figure[]> {
  const slow: number[] = [];
  const fast: number[] = [];
  const bulkSlow: number[] = [];
  const bulkFast: number[] = [];
  const bulkPlain: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await rig.setOffloadPolicy(false, 16);
    slow.push(await measurePackets(rig, "red"));
    bulkSlow.push(await measureBulk(rig, "red"));
    await rig.setOffloadPolicy(true, 16);
    fast.push(await measurePackets(rig, "red"));
    bulkFast.push(await measureBulk(rig, "red"));
    bulkPlain.push(await measureBulk(rig, "blue"));
  }
  const mega = (values: readonly number[]): number[] => values.map((value) => value / 1e6);
  const giga = (values: readonly number[]): number[] => values.map((value) => value / 1e9);
  return [
    makeFigure(
      { id: "offloaded-packets", unit: "Mpps", target: { of: "ratio", bound: "min", at: 2.5 } },
      mega(fast),
      mega(slow),
    ),
    makeFigure(
      { id: "offloaded-tcp-bulk", unit: "Gbit/s", target: { of: "ratio", bound: "min", at: 0.95 } },
      giga(bulkFast),
      giga(bulkPlain),
    ),
    makeFigure({ id: "slow-path-packets-beside-1-mpps", unit: "Mpps" }, mega(slow), [1]),
    makeFigure({ id: "slow-path-tcp-beside-6-gbits", unit: "Gbit/s" }, giga(bulkSlow), [6]),
  ];
}
