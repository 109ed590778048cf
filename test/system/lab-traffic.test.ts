/** The traffic programs tell what happened, also when it is not what they hoped for. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Lab } from "../../src/lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import { startLab } from "../../src/lab/start-lab.ts";
import { formatPing, parsePing } from "../../src/lab/traffic/ping.ts";
import { runTraffic, startTraffic } from "../../src/lab/traffic/run-traffic.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { LabCli } from "../support/lab-cli.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

const cli = new LabCli();
let lab: Lab;
beforeAll(async () => {
  // No appliance process: the machines in the middle forward everything, untranslated.
  lab = await startLab(readLabFile(defaultLabFile()), {
    name: cli.name,
    runDirectory: cli.runDirectory,
    distDirectory: LAB_DIST_DIRECTORY,
    processes: [],
    log: SILENT_LOG,
  });
});
afterAll(async () => {
  await lab.stop();
  cli.dispose();
});

test("HTTP: every connection is told by who answered and whom the server saw", async () => {
  const server = await startTraffic(lab, "red/www", "http-server", { port: 80, name: "w" });
  const result = await runTraffic(lab, "red/client1", "http-client", {
    target: "192.0.2.100",
    port: 80,
    connections: 40,
    requestsPerConnection: 3,
    bodyBytes: 5_000,
  });
  expect(result).toMatchObject({
    connections: 40,
    failedConnections: 0,
    requests: 120,
    failedRequests: 0,
    bytes: 600_000,
    servers: { w: 40 },
    seenAs: { "10.0.0.10": 40 },
  });
  expect(await server.stop()).toEqual({ connections: 40, requests: 120 });
});

test("HTTP: one machine plays 256 clients, in both families a closed port is a failure", async () => {
  const server = await startTraffic(lab, "red/real1", "http-server", { port: 80 });
  const { seenAs } = await runTraffic(lab, "red/outsider", "http-client", {
    target: "10.0.0.101",
    port: 80,
    connections: 256,
    localPrefix: "203.0.113.0/24",
  });
  await server.stop();
  expect(Object.keys(seenAs).length).toBe(256);
  for (const target of ["10.0.0.101", "fd00:0:0:1::101"]) {
    const options = { target, port: 81, connections: 2 };
    const result = await runTraffic(lab, "red/outsider", "http-client", options);
    expect(result).toMatchObject({ failedConnections: 2, errors: { ECONNREFUSED: 2 } });
  }
});

test("transfers: connections are held over rounds, and a killed server fails all of them", async () => {
  const server = await startTraffic(lab, "blue/www", "transfer-server", { port: 9000 });
  const client = await startTraffic(lab, "blue/client1", "transfer-client", {
    target: "192.0.2.100",
    port: 9000,
    connections: 20,
    uploadBytes: 200_000,
    downloadBytes: 100_000,
    rounds: 0,
  });
  expect(await client.transferRound()).toMatchObject({ round: 0, held: 20, failed: 0 });
  expect(await client.transferRound()).toMatchObject({ round: 1, held: 20, failed: 0 });
  server.kill();
  await server.result.catch(() => {}); // Its connections are gone with it.
  expect(await client.transferRound()).toMatchObject({ round: 2, held: 0, failed: 20 });
  expect(await client.stop()).toMatchObject({
    connections: 20,
    failedConnections: 20,
    bytesSent: 2 * 20 * 200_000,
    bytesReceived: 2 * 20 * 100_000,
  });
});

test("UDP and DNS: answers are counted, silence is loss", async () => {
  const echo = await startTraffic(lab, "red/www", "udp-server", { port: 7 });
  const dns = await startTraffic(lab, "red/www", "dns-server", { port: 53 });
  const at = { target: "192.0.2.100", timeoutMs: 300 };
  const paced = { ...at, port: 7, flows: 10, packetsPerFlow: 20, ratePps: 1_000 };
  expect(await runTraffic(lab, "red/client1", "udp-client", paced)).toMatchObject({
    flows: 10,
    silentFlows: 0,
    sent: 200,
    received: 200,
    lost: 0,
    corrupted: 0,
  });
  const inStep = { ...at, target: "2001:db8:0:1::100", port: 7, flows: 5, packetsPerFlow: 10 };
  expect(await runTraffic(lab, "red/client1", "udp-client", inStep)).toMatchObject({ lost: 0 });
  const burst = { ...at, port: 53, queries: 100 };
  expect(await runTraffic(lab, "red/client1", "dns-client", burst)).toMatchObject({
    answered: 100,
    wrong: 0,
    unanswered: 0,
  });
  expect(await echo.stop()).toEqual({ received: 250, sent: 250 });
  expect(await dns.stop()).toEqual({ received: 100, sent: 100 });
  const silent = { ...at, port: 7, flows: 3, packetsPerFlow: 2 };
  expect(await runTraffic(lab, "red/client1", "udp-client", silent)).toMatchObject({
    silentFlows: 3,
    lost: 6,
  });
});

test("ping: echo requests leave without any privilege", async () => {
  const { stdout } = await lab.run("red/client1", formatPing("192.0.2.100", 10));
  expect(parsePing(stdout)).toEqual({ sent: 10, received: 10 });
});

test("a program that cannot listen says why", async () => {
  const server = await startTraffic(lab, "red/www", "http-server", { port: 80 });
  const second = startTraffic(lab, "red/www", "http-server", { port: 80 });
  await expect(second).rejects.toThrow("EADDRINUSE");
  await server.stop();
});
