/**
 * Chooses what running is when the process starts.
 *
 * Effect: reads the stored datastores. The same boot restores running; another boot loads startup;
 * without startup the day-zero configuration is loaded. What cannot be used is put aside and told.
 */
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import type { ConfigStore } from "./config-store.ts";
import { type DataRoot, EMPTY_ROOT } from "./data-node.ts";
import { DatastoreFiles } from "./datastore-files.ts";

export interface StartupOptions {
  readonly stateDirectory: string;
  readonly bootId: string;
  readonly dayZeroConfig: string | undefined;
  readonly log: Log;
}

/** Fills the store. */
export async function loadDatastores(store: ConfigStore, options: StartupOptions): Promise<void> {
  const files = new DatastoreFiles(options.stateDirectory);
  const running = await load(store, files, "running", options);
  const startup = await load(store, files, "startup", options);
  const isSameBoot = running !== undefined && running.bootId === options.bootId;
  if (isSameBoot) {
    store.initialize(running.root, startup?.root);
    options.log.info("Running is restored: the process was restarted");
    return;
  }
  const dayZero = startup === undefined ? readDayZero(store, options) : undefined;
  const root = startup?.root ?? dayZero ?? EMPTY_ROOT;
  store.initialize(root, startup?.root ?? dayZero);
  try {
    await store.storeRunning(dayZero !== undefined);
  } catch (error) {
    // The configuration is still good; commits will say that they cannot be stored.
    options.log.error("Running cannot be stored", { reason: describeError(error) });
  }
  const from = dayZero === undefined ? "nothing" : "the day-zero configuration";
  options.log.info(`Running is loaded from ${startup === undefined ? from : "startup"}`);
}

async function load(
  store: ConfigStore,
  files: DatastoreFiles,
  name: "running" | "startup",
  { log }: StartupOptions,
): Promise<{ readonly root: DataRoot; readonly bootId: string } | undefined> {
  const stored = await files.read(name);
  if (!stored.ok) {
    log.error("A stored datastore cannot be used", { name, reason: stored.error.message });
    await files.setAside(name).catch(() => undefined);
    return undefined;
  }
  if (stored.value === undefined) return undefined;
  const root = store.parseJson(stored.value.configJson);
  const valid = root.ok ? store.validate(root.value) : root;
  if (root.ok && valid.ok) return { root: root.value, bootId: stored.value.bootId };
  const reason = valid.ok ? "" : `${valid.error.path ?? ""} ${valid.error.message}`.trim();
  log.error("A stored datastore is not valid any more", { name, reason });
  await files.setAside(name).catch(() => undefined);
  return undefined;
}

function readDayZero(store: ConfigStore, options: StartupOptions): DataRoot | undefined {
  if (options.dayZeroConfig === undefined) return undefined;
  const root = store.parseJson(options.dayZeroConfig);
  const valid = root.ok ? store.validate(root.value) : root;
  if (root.ok && valid.ok) return root.value;
  const reason = valid.ok ? "" : `${valid.error.path ?? ""} ${valid.error.message}`.trim();
  options.log.error("The day-zero configuration is not valid", { reason });
  return undefined;
}
