/**
 * Chooses what running is when the process starts.
 *
 * Effect: reads and writes the stored datastores. The same boot restores running; another boot
 * loads startup; without startup the day-zero configuration is loaded. A commit that nobody had
 * confirmed is taken back. What cannot be used is put aside and told.
 */
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { err, type Result } from "../lib/base/result.ts";
import { applicationError, type RpcError } from "../lib/netconf/rpc-error.ts";
import { parseXml } from "../lib/xml/tree.ts";
import type { ConfigStore } from "./config-store.ts";
import { type DataRoot, EMPTY_ROOT } from "./data-node.ts";
import { applyEdit } from "./edit-engine.ts";
import { readEditPayload } from "./edit-payload.ts";

export interface StartupOptions {
  readonly dayZeroConfig: string | undefined;
  readonly log: Log;
}

/** What became of the day-zero configuration; `problem` when it was refused. */
export interface DayZeroState {
  readonly outcome: "absent" | "applied" | "kept" | "refused";
  readonly problem?: string;
}

/** Fills the store. */
export async function loadDatastores(
  store: ConfigStore,
  options: StartupOptions,
): Promise<DayZeroState> {
  const kept: DayZeroState = { outcome: options.dayZeroConfig === undefined ? "absent" : "kept" };
  const { log } = options;
  const loaded = await store.log.load();
  const { isSameBoot, running, startup, unconfirmedBase } = loaded;
  if (isSameBoot && running !== undefined && isValid(store, running, log)) {
    store.initialize(unconfirmedBase ?? running, startup);
    if (unconfirmedBase === undefined) {
      log.info("Running is restored: the process was restarted");
      return kept;
    }
    log.warn("A commit was not confirmed before the restart: the configuration before it is back");
    await settle(store, log, running, "restarted");
    return kept;
  }
  const usable = startup !== undefined && isValid(store, startup, log) ? startup : undefined;
  const read = usable === undefined ? readDayZero(store, options) : undefined;
  const dayZero = read?.root;
  store.initialize(usable ?? dayZero ?? EMPTY_ROOT, usable ?? dayZero);
  const from = dayZero === undefined ? "nothing" : "the day-zero configuration";
  log.info(`Running is loaded from ${usable === undefined ? from : "startup"}`);
  await settle(store, log, running ?? usable ?? EMPTY_ROOT, "booted");
  return read?.state ?? kept;
}

/** The applier cannot carry out what was loaded: the appliance goes on without it. */
export async function dropDayZero(
  store: ConfigStore,
  problem: string,
  log: Log,
): Promise<DayZeroState> {
  log.error("The day-zero configuration cannot be carried out", { problem });
  const before = store.read("running");
  store.initialize(EMPTY_ROOT, undefined);
  await settle(store, log, before, "booted");
  return { outcome: "refused", problem };
}

/** Stores what the start has decided; without a usable disk the configuration is still good. */
async function settle(
  store: ConfigStore,
  log: Log,
  before: DataRoot,
  how: "restarted" | "booted",
): Promise<void> {
  try {
    await store.recordStart(before, how);
    await store.storeAll();
  } catch (error) {
    log.error("Running cannot be stored", { reason: describeError(error) });
  }
}

function isValid(store: ConfigStore, root: DataRoot, log: Log): boolean {
  const problem = store.validate(root);
  if (problem === undefined) return true;
  const reason = `${problem.path ?? ""} ${problem.message}`.trim();
  log.error("A stored datastore is not valid any more", { reason });
  return false;
}

interface ReadDayZero {
  readonly root: DataRoot | undefined;
  readonly state: DayZeroState;
}

function readDayZero(store: ConfigStore, options: StartupOptions): ReadDayZero {
  const text = options.dayZeroConfig;
  if (text === undefined) return { root: undefined, state: { outcome: "absent" } };
  const root = text.trimStart().startsWith("<")
    ? parseConfigXml(store, text)
    : store.parseJson(text);
  const error = root.ok ? store.validate(root.value) : root.error;
  if (root.ok && error === undefined) return { root: root.value, state: { outcome: "applied" } };
  const problem = `${error?.path ?? ""} ${error?.message ?? ""}`.trim();
  options.log.error("The day-zero configuration is not valid", { problem });
  return { root: undefined, state: { outcome: "refused", problem } };
}

/** Reads a document whose root is NETCONF's `<config>`. */
function parseConfigXml(store: ConfigStore, text: string): Result<DataRoot, RpcError> {
  const tree = parseXml(text.trim());
  if (!tree.ok) return err(applicationError("malformed-message", tree.error.message));
  if (tree.value.local !== "config") {
    const message = `The document's root is <${tree.value.local}>, not <config>`;
    return err(applicationError("unknown-element", message));
  }
  const edits = readEditPayload(store.yang, store.schema, tree.value, {});
  return edits.ok ? applyEdit(EMPTY_ROOT, edits.value, "merge") : edits;
}
