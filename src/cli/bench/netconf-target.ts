/**
 * A management server with one plain list and nothing behind it: what `bench netconf` measures.
 *
 * Effect: listens on the loopback, writes below the folder of its first argument, and prints its port.
 * A program of its own, so that its memory is only its own.
 */
import { join } from "node:path";
import { createLog } from "../../lib/base/log.ts";
import { findProjectRoot } from "../../lib/base/project-root.ts";
import { ok } from "../../lib/base/result.ts";
import { defaultYangDirectories } from "../../lib/yang/yang-directories.ts";
import type { Applier } from "../../management/applier.ts";
import { ManagementServer } from "../../management/management-server.ts";

/** Takes everything, does nothing. */
const NOTHING: Applier = {
  prepare: async () => ok(undefined),
  commit: async () => ({ late: [] }),
  abort: async () => undefined,
  getState: async () => ({}),
};

const folder = process.argv[2] ?? "";
const server = await ManagementServer.start({
  searchDirectories: [folder, ...defaultYangDirectories(findProjectRoot())],
  modules: [{ name: "flowlift-bench" }],
  applier: NOTHING,
  stateDirectory: join(folder, "state"),
  hostKeyFile: join(folder, "state", "host-key"),
  authorizedKeysFile: join(folder, "key.pub"),
  users: ["bench"],
  listen: [{ kind: "address", address: "127.0.0.1", port: 0 }],
  bootId: "bench",
  dayZeroConfig: undefined,
  savesStartup: () => true,
  log: createLog("bench-target", "warn"),
});
process.stdout.write(`${server.ports[0]}\n`);
process.stdin.resume();
process.stdin.once("end", () => process.exit(0));
