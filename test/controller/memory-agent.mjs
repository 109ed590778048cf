/**
 * An agent whose fast path is a memory driver, as a process of its own: it survives the controller.
 * Arguments: the built program's folder, the socket. Each line on stdin counts one packet of every flow.
 */
import { createInterface } from "node:readline";

const [, , dist, socketPath] = process.argv;
const { MemoryDriver } = await import(`${dist}/fast-path/memory/memory-driver.js`);
const { SILENT_LOG } = await import(`${dist}/lib/base/log.js`);
const { serveDriver } = await import(`${dist}/fast-path/agent.js`);

let packets = 0n;

function count(item) {
  if (item.counters === undefined) return item;
  const { original } = item.counters;
  const counted = { ...original, fastPackets: packets, fastBytes: 100n * packets };
  return { ...item, counters: { ...item.counters, original: counted } };
}

class CountingDriver extends MemoryDriver {
  async readCounters(handles) {
    return (await super.readCounters(handles)).map(count);
  }

  async withdraw(handles) {
    return (await super.withdraw(handles)).map(count);
  }
}

await serveDriver(new CountingDriver(), socketPath, SILENT_LOG);
createInterface({ input: process.stdin }).on("line", () => {
  packets += 1n;
});
process.stdout.write("READY\n");
