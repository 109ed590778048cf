/**
 * Runs inside a namespace: follows conntrack with the built program's bindings and tells what it saw.
 *
 * Usage: node conntrack-probe.mjs DIST RECEIVE-BYTES. Writes READY, then one JSON line for each line of
 * standard input: `count`, `dump`, `change`, `delete`, `get`, or `stop`.
 */
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [dist = "dist", receiveBytes = "67108864"] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(resolve(dist, file)).href);
const { listenConntrack } = await load("lib/conntrack/events.js");
const { ConntrackTable } = await load("lib/conntrack/table.js");

const table = new ConntrackTable();
const kinds = { new: 0, update: 0, destroy: 0, overrun: 0 };
const fresh = new Map();
const seen = [];
const stream = await listenConntrack({
  receiveBytes: Number(receiveBytes),
  onEvents(events) {
    for (const event of events) {
      kinds[event.kind] += 1;
      if (event.kind === "overrun") continue;
      const { original, reply } = event.entry;
      if (event.kind === "new") {
        fresh.set(
          `${original.protocol} ${original.sourcePort} ${original.destinationPort}`,
          `${reply.sourceAddress} ${reply.sourcePort} ${reply.destinationAddress}`,
        );
      }
      if (original.protocol === 6) seen.push({ kind: event.kind, entry: event.entry });
    }
  },
  onFailed(error) {
    throw error;
  },
});

const tell = (value) => {
  const text = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? `${each}` : each));
  process.stdout.write(`${text}\n`);
};
const list = async (filter) => {
  const entries = [];
  await table.dump((entry) => entries.push(entry), filter);
  return entries;
};
const findTcp = async () => (await list()).find((entry) => entry.original.protocol === 6);

const commands = {
  count: () => ({ kinds, fresh: fresh.size, replies: [...new Set(fresh.values())].slice(0, 3) }),
  dump: async () => ({
    udp: (await list()).filter((entry) => entry.original.protocol === 17).length,
    marked: (await list({ mark: { value: 8, mask: 8 } })).length,
  }),
  tcp: async () => ({ entry: await findTcp(), seen }),
  change: async () => {
    const { original } = await findTcp();
    const missing = { ...original, sourcePort: 1 };
    const outcomes = table.change([
      { original: missing, timeoutSec: 5 },
      { original, timeoutSec: 777, mark: { value: 8, mask: 12 }, liberal: true, assured: true },
    ]);
    return { outcomes, entry: table.get({ original }), missing: table.get({ original: missing }) };
  },
  delete: async () => {
    const { original } = await findTcp();
    const outcomes = table.delete([{ original }, { original }]);
    return { outcomes, entry: table.get({ original }) };
  },
};

process.stdout.write("READY\n");
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "stop") break;
  tell((await commands[line]()) ?? null);
}
await stream.stop();
table.close();
