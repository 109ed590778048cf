import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Controller } from "../../src/controller/controller.ts";
import { MockFaults } from "../../src/controller/mock-faults.ts";
import { serveSerial } from "../../src/controller/serial-listener.ts";
import { exampleModel } from "./world.ts";

let directory = "";
const servers: Server[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flowlift-serial-"));
});

afterEach(async () => {
  for (const server of servers.splice(0)) {
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(directory, { recursive: true });
});

/** A controller that takes nobody. */
const NOBODY = { attach: () => undefined } as unknown as Controller;

async function serve(path: string): Promise<void> {
  const [vm] = exampleModel().vms.values();
  if (vm === undefined) throw new Error("the example has virtual machines");
  const faults = new MockFaults(Math.random);
  servers.push(await serveSerial({ controller: NOBODY, vm, path, faults, crash: () => {} }));
}

test("a path on which somebody listens is refused, and stays theirs", async () => {
  const path = join(directory, "vm.sock");
  await serve(path);
  await expect(serve(path)).rejects.toMatchObject({ code: "PORT_IN_USE" });
  expect(servers).toHaveLength(1);
  expect(servers[0]?.listening).toBe(true);
});

test("a socket that nobody serves any more is replaced", async () => {
  const path = join(directory, "vm.sock");
  const stale = createServer();
  await new Promise<void>((resolve) => stale.listen(`${path}.old`, resolve));
  // A process that was killed leaves its socket behind.
  const { linkSync } = await import("node:fs");
  linkSync(`${path}.old`, path);
  await new Promise((resolve) => stale.close(resolve));
  await serve(path);
  expect(servers[0]?.listening).toBe(true);
});
