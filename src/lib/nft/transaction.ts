/**
 * Plans and applies one ruleset as one atomic transaction, as a difference to what the kernel holds.
 *
 * `planTransaction` is pure; `NftTable` has the effect. Base chains are created once and never deleted
 * (removing one would drop every packet that waits in a queue); counters that both rulesets have are not
 * touched; chains are named by their content, so an equal name means equal rules.
 */
import { NftApplyError } from "./errors.ts";
import type { Nft } from "./libnftables.ts";
import type { Ruleset } from "./nodes.ts";
import {
  type Json,
  renderAddBaseChain,
  renderAddChain,
  renderAddCounter,
  renderAddTable,
  renderChainFill,
  renderDeleteChain,
  renderDeleteCounter,
  renderFlushChain,
  renderList,
  renderTransaction,
  type TableName,
} from "./render.ts";

/** What the table holds now, as far as a plan needs it. */
export interface TableInventory {
  readonly exists: boolean;
  readonly baseChains: ReadonlySet<string>;
  readonly chains: ReadonlySet<string>;
  readonly counters: ReadonlySet<string>;
}

export const EMPTY_INVENTORY: TableInventory = {
  exists: false,
  baseChains: new Set(),
  chains: new Set(),
  counters: new Set(),
};

export interface CounterValue {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Returns the commands that turn `inventory` into `ruleset`; a base chain of somebody else's stays. */
export function planTransaction(
  table: TableName,
  inventory: TableInventory,
  ruleset: Ruleset,
): Json[] {
  const chains = new Map(ruleset.chains.map((chain) => [chain.name as string, chain]));
  const counters = new Set<string>(ruleset.counters);
  const added = [...chains.values()].filter((chain) => !inventory.chains.has(chain.name));
  const goneChains = [...inventory.chains].filter((name) => !chains.has(name));
  const goneCounters = [...inventory.counters].filter((name) => !counters.has(name));
  return [
    renderAddTable(table),
    ...[...counters]
      .filter((name) => !inventory.counters.has(name))
      .map((name) => renderAddCounter(table, name as Ruleset["counters"][number])),
    ...added.map((chain) => renderAddChain(table, chain.name)),
    ...added.flatMap((chain) => renderChainFill(table, chain)),
    ...ruleset.baseChains.map((chain) => renderAddBaseChain(table, chain)),
    ...ruleset.baseChains.map((chain) => renderFlushChain(table, chain.name)),
    ...ruleset.baseChains.flatMap((chain) => renderChainFill(table, chain)),
    ...goneChains.map((name) => renderFlushChain(table, name)),
    ...goneChains.map((name) => renderDeleteChain(table, name)),
    ...goneCounters.map((name) => renderDeleteCounter(table, name)),
  ];
}

/** One table of the kernel. */
export class NftTable {
  readonly #nft: Nft;
  readonly #table: TableName;
  /** What our own last transaction left; undefined when that is not known. */
  #inventory: TableInventory | undefined;
  #planned: { readonly ruleset: Ruleset; readonly command: string } | undefined;

  constructor(nft: Nft, table: TableName) {
    this.#nft = nft;
    this.#table = table;
  }

  /** Returns what the table holds; a table that does not exist is empty. */
  async readInventory(): Promise<TableInventory> {
    const listed = await this.#list("chains");
    const baseChains = new Set<string>();
    const chains = new Set<string>();
    let exists = false;
    for (const item of listed) {
      if (readText(item["table"], "name") === this.#table.name) exists = true;
      const chain = item["chain"];
      if (readText(chain, "table") !== this.#table.name) continue;
      const name = readText(chain, "name");
      if (name === undefined) continue;
      exists = true;
      (readText(chain, "hook") === undefined ? chains : baseChains).add(name);
    }
    if (!exists) return EMPTY_INVENTORY;
    const counters = new Set((await this.readCounters()).keys());
    return { exists, baseChains, chains, counters };
  }

  /** Returns every named counter. */
  async readCounters(): Promise<ReadonlyMap<string, CounterValue>> {
    const counters = new Map<string, CounterValue>();
    for (const item of await this.#list("counters")) {
      const counter = item["counter"];
      const name = readText(counter, "name");
      if (name === undefined || readText(counter, "table") !== this.#table.name) continue;
      counters.set(name, {
        packets: readCount(counter, "packets"),
        bytes: readCount(counter, "bytes"),
      });
    }
    return counters;
  }

  /** Checks a ruleset as far as that is possible without changing anything. Throws NftApplyError. */
  async check(ruleset: Ruleset): Promise<void> {
    await this.#execute(ruleset, true);
  }

  /** Makes the kernel hold exactly `ruleset`. Throws NftApplyError, and then nothing has changed. */
  async apply(ruleset: Ruleset): Promise<void> {
    await this.#execute(ruleset, false);
  }

  /** Tries once more from a fresh look when somebody else may have changed the table. */
  async #execute(ruleset: Ruleset, dryRun: boolean): Promise<void> {
    const trusted = this.#inventory !== undefined;
    const command = await this.#plan(ruleset);
    let outcome = await this.#nft.run(command, { dryRun });
    if (!outcome.accepted && trusted) {
      this.#inventory = undefined;
      this.#planned = undefined;
      outcome = await this.#nft.run(await this.#plan(ruleset), { dryRun });
    }
    if (!outcome.accepted) {
      this.#planned = undefined;
      throw new NftApplyError(this.#table.name, outcome.errorText);
    }
    if (dryRun) return;
    this.#inventory = inventoryOf(ruleset);
    this.#planned = undefined;
  }

  /** A check and the apply that follows it share one plan. */
  async #plan(ruleset: Ruleset): Promise<string> {
    if (this.#planned?.ruleset === ruleset) return this.#planned.command;
    this.#inventory ??= await this.readInventory();
    const command = renderTransaction(planTransaction(this.#table, this.#inventory, ruleset));
    this.#planned = { ruleset, command };
    return command;
  }

  async #list(what: "chains" | "counters"): Promise<readonly Record<string, unknown>[]> {
    const outcome = await this.#nft.run(renderTransaction([renderList(what, this.#table)]));
    if (!outcome.accepted) throw new NftApplyError(this.#table.name, outcome.errorText);
    const parsed = JSON.parse(outcome.output) as { readonly nftables: Record<string, unknown>[] };
    return parsed.nftables;
  }
}

function inventoryOf(ruleset: Ruleset): TableInventory {
  return {
    exists: true,
    baseChains: new Set(ruleset.baseChains.map((chain) => chain.name)),
    chains: new Set(ruleset.chains.map((chain) => chain.name)),
    counters: new Set(ruleset.counters),
  };
}

function readText(object: unknown, key: string): string | undefined {
  const value = (object as Record<string, unknown> | undefined)?.[key];
  return typeof value === "string" ? value : undefined;
}

function readCount(object: unknown, key: string): bigint {
  const value = (object as Record<string, unknown> | undefined)?.[key];
  return typeof value === "number" ? BigInt(value) : 0n;
}
