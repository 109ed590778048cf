/** A commit in the moment of the data process's restart waits for it, and not for ever. */
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { DataLink, RETURN_WAIT_MS } from "../../src/appliance/manage-data-link.ts";
import { type LocalRpcPeer, listenLocalRpc } from "../../src/lib/base/local-rpc.ts";
import { createLog } from "../../src/lib/base/log.ts";

const folder = mkdtempSync(join(tmpdir(), "flowlift-data-link-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let path: string;
let link: DataLink;
let server: Server | undefined;
const peers: LocalRpcPeer[] = [];
let count = 0;
beforeEach(() => {
  path = join(folder, `data-${count++}.sock`);
  link = new DataLink(path, createLog("test", "error"), async () => true);
});
afterEach(() => {
  link.stop();
  for (const peer of peers.splice(0)) peer.close();
  server?.close();
});

async function serve(): Promise<void> {
  const handlers = { prepare: () => ({ ok: true }) };
  server = await listenLocalRpc(path, handlers, (peer) => peers.push(peer));
}

test("a commit that finds the data process away gets its answer when that is back", async () => {
  void link.run();
  const prepared = link.prepare("one", {});
  await sleep(100);
  await serve();
  expect(await prepared).toMatchObject({ ok: true });
});

test("a commit while the data process stays away is refused when the wait is over", async () => {
  void link.run();
  const started = performance.now();
  await expect(link.prepare("one", {})).rejects.toThrow("away; try again later");
  const waitedMs = performance.now() - started;
  expect(waitedMs).toBeGreaterThanOrEqual(RETURN_WAIT_MS - 5);
});

test("what is no commit does not wait", async () => {
  await expect(link.getState()).rejects.toThrow("away; try again later");
});
