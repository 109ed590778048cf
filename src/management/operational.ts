/**
 * What `get` answers: running, and the state of the applier and of this server, in one tree.
 *
 * Effect: asks the applier. Only what the filter can select is asked for, so that looking at
 * sessions works, and is quick, when the applier is busy or away.
 */
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { ok, type Result } from "../lib/base/result.ts";
import { NS_MONITORING } from "../lib/netconf/names.ts";
import type { RpcError } from "../lib/netconf/rpc-error.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { XmlElement } from "../lib/xml/tree.ts";
import type { YangModule } from "../lib/yang/module-list.ts";
import type { Applier } from "./applier.ts";
import type { ConfigStore } from "./config-store.ts";
import type { DataRoot } from "./data-node.ts";
import { applyEdit } from "./edit-engine.ts";
import type { EditNode } from "./edit-node.ts";
import { readCanonicalXml, readConfigJson } from "./edit-payload.ts";
import { formatModulesState, formatNetconfState, formatYangLibrary } from "./monitoring-state.ts";
import type { SessionRegistry } from "./session-registry.ts";
import { filterTouches } from "./subtree-filter.ts";

export interface OperationalOptions {
  readonly store: ConfigStore;
  readonly applier: Applier;
  readonly registry: SessionRegistry;
  readonly modules: readonly YangModule[];
  readonly capabilities: readonly string[];
  /** State of the server itself, as RFC 7951 data; asked for only when the filter can select it. */
  readonly providers?: readonly StateProvider[];
  readonly log: Log;
}

export interface StateProvider {
  readonly name: string;
  readonly namespace: string;
  readonly read: () => ConfigData;
}

const OWN_ROOTS: readonly { readonly name: string; readonly namespace: string }[] = [
  { name: "netconf-state", namespace: NS_MONITORING },
  { name: "yang-library", namespace: "urn:ietf:params:xml:ns:yang:ietf-yang-library" },
  { name: "modules-state", namespace: "urn:ietf:params:xml:ns:yang:ietf-yang-library" },
];

/** Builds the operational tree on demand. */
export class OperationalState {
  readonly #options: OperationalOptions;

  constructor(options: OperationalOptions) {
    this.#options = options;
  }

  /** Returns the tree, leaving out what `filter` cannot select. */
  async read(filter: XmlElement | undefined): Promise<Result<DataRoot, RpcError>> {
    const { store } = this.#options;
    const edits: EditNode[] = [];
    const own = readCanonicalXml(store.schema, this.#formatOwn(filter));
    if (!own.ok) return own;
    edits.push(...own.value);
    for (const provider of this.#options.providers ?? []) {
      if (!this.#wants(provider.name, filter)) continue;
      const state = readConfigJson(store.yang, store.schema, JSON.stringify(provider.read()), true);
      if (!state.ok) return state;
      edits.push(...state.value);
    }
    if (this.#wantsMore(filter)) {
      const state = await this.#readApplier();
      if (!state.ok) return state;
      edits.push(...state.value);
    }
    return applyEdit(store.read("running"), edits, "merge");
  }

  #formatOwn(filter: XmlElement | undefined): string {
    const { capabilities, modules, registry, store } = this.#options;
    const monitoring = this.#wants("netconf-state", filter)
      ? formatNetconfState(capabilities, modules, store.locks, registry)
      : "";
    const libraries = this.#wants("yang-library", filter) ? formatYangLibrary(modules) : "";
    const old = this.#wants("modules-state", filter) ? formatModulesState(modules) : "";
    return monitoring + libraries + old;
  }

  #wants(name: string, filter: XmlElement | undefined): boolean {
    const [node] = this.#options.store.schema.roots.get(name) ?? [];
    return node !== undefined && (filter === undefined || filterTouches(filter, node));
  }

  #wantsMore(filter: XmlElement | undefined): boolean {
    if (filter === undefined) return true;
    const own = [...OWN_ROOTS, ...(this.#options.providers ?? [])];
    return filter.children.some(
      ({ local, namespace }) =>
        !own.some((root) => root.name === local && root.namespace === namespace),
    );
  }

  /** An applier that cannot answer leaves its part out; a wrong answer is its bug, and told. */
  async #readApplier(): Promise<Result<EditNode[], RpcError>> {
    const { applier, log, store } = this.#options;
    let json: string;
    try {
      json = JSON.stringify(await applier.getState());
    } catch (error) {
      log.warn("Operational data is incomplete", { reason: describeError(error) });
      return ok([]);
    }
    if (json === "{}") return ok([]);
    return readConfigJson(store.yang, store.schema, json, true);
  }
}
