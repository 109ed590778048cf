/**
 * Runs inside the router's namespace: the offload engine of the built program, with a judge that forbids one
 * destination port. Usage: node offload-engine-probe.mjs DIST SOCKET. Writes READY, then one JSON line for
 * each line of standard input: `state`, `flows`, `entries`, `forbid PORT`; `stop` ends it.
 */
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [dist = "dist", path = ""] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(resolve(dist, file)).href);
const { startOffload } = await load("offload/shell.js");
const { RouteTable } = await load("lib/netlink/route.js");
const { ConntrackTable } = await load("lib/conntrack/table.js");
const { createLog } = await load("lib/base/log.js");
const { MONOTONIC_CLOCK } = await load("lib/base/clock.js");

const routes = new RouteTable();
const links = await routes.listLinks();
const interfaces = ["in0", "out0"].map((name, index) => {
  const { mac, mtuBytes } = links.find((link) => link.name === name);
  return { name, markIndex: index + 1, mac, mtuBytes, prefixes: [] };
});
const judgeBut = (port) => (entry) => ({
  allowed: entry.original.destinationPort !== port,
  service: "nat",
  eligible: true,
  rules: [],
  policyTag: 1,
});
const offload = await startOffload({
  port: { kind: "unix", path },
  judge: judgeBut(0),
  policyEpoch: 1n,
  interfaces,
  log: createLog("probe", "warn"),
  clock: MONOTONIC_CLOCK,
});
const table = new ConntrackTable();

const commands = {
  state: () => offload.getState(),
  flows: () => offload.listFlows(100),
  entries: async () => {
    const entries = [];
    await table.dump((entry) => entries.push(entry));
    return entries;
  },
  forbid: (port) => offload.applyPolicy(judgeBut(Number(port)), 2n, 2_000),
};

process.stdout.write("READY\n");
for await (const line of createInterface({ input: process.stdin })) {
  const [name, argument] = line.split(" ");
  if (name === "stop") break;
  const value = await commands[name](argument);
  const text = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? `${each}` : each));
  process.stdout.write(`${text}\n`);
}
await offload.stop();
table.close();
routes.close();
