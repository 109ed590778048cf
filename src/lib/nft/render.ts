/**
 * Writes rulesets in libnftables' JSON.
 *
 * Pure. The one place that knows libnftables' words. Everything is a value of JSON, never a joined string;
 * what may be a name or a bare word is settled by the types (`identifier.ts`, `Word`).
 * Source: libnftables-json(5), version 1.0.6.
 */
import { assert } from "../base/assert.ts";
import type { ObjectName } from "./identifier.ts";
import type {
  BaseChain,
  Chain,
  Rule,
  Selector,
  SnatAddresses,
  Statement,
  Value,
  Verdict,
} from "./nodes.ts";

/** A JSON value as libnftables reads it. */
export type Json = string | number | null | readonly Json[] | { readonly [key: string]: Json };

export interface TableName {
  readonly family: "inet";
  readonly name: ObjectName;
}

const MARK_KEY: Json = { ct: { key: "mark" } };

/** Returns the JSON of an expression on a match's left side, or a map's key. */
export function renderSelector(selector: Selector): Json {
  switch (selector.kind) {
    case "payload":
      return { payload: { protocol: selector.protocol, field: selector.field } };
    case "meta":
      return { meta: { key: selector.key } };
    case "ct":
      return { ct: { key: selector.key } };
    case "masked":
      return { "&": [renderSelector(selector.of), selector.mask] };
    case "round-robin":
      return { numgen: { mode: "inc", mod: selector.modulus, offset: 0 } };
    case "hash":
      return {
        jhash: { mod: selector.modulus, seed: selector.seed, expr: renderSelector(selector.of) },
      };
    case "concat":
      return { concat: selector.parts.map(renderSelector) };
  }
}

/** Returns the JSON of a value. */
export function renderValue(value: Value): Json {
  switch (value.kind) {
    case "number":
      assert(Number.isSafeInteger(value.value) && value.value >= 0, "a number is a natural number");
      return value.value;
    case "address":
      return value.address;
    case "prefix":
      return { prefix: { addr: value.prefix.address, len: value.prefix.lengthBits } };
    case "range":
      return { range: [value.first, value.last] };
    case "interface":
      return value.name;
    case "word":
      return value.word;
    case "words":
      return value.words;
    case "tuple":
      return { concat: value.parts.map(renderValue) };
    case "any-of":
      assert(value.values.length > 0, "an anonymous set is not empty");
      return { set: value.values.map(renderValue) };
  }
}

function renderVerdict(verdict: Verdict): Json {
  return verdict.kind === "jump" || verdict.kind === "goto"
    ? { [verdict.kind]: { target: verdict.chain } }
    : { [verdict.kind]: null };
}

function renderMap<T>(
  key: Selector,
  entries: readonly (readonly [Value, T])[],
  render: (target: T) => Json,
): Json {
  assert(entries.length > 0, "an anonymous map is not empty");
  const set = entries.map(([from, to]): Json => [renderValue(from), render(to)]);
  return { key: renderSelector(key), data: { set } };
}

function renderSnat(statement: Extract<Statement, { readonly kind: "snat" }>): Json {
  const { ports } = statement;
  return {
    snat: {
      family: "ip",
      addr: renderSnatAddresses(statement.addresses),
      ...(ports === undefined ? {} : { port: renderPorts(ports) }),
      ...(statement.persistent ? { flags: "persistent" } : {}),
    },
  };
}

function renderPorts(ports: { readonly first: number; readonly last: number }): Json {
  return ports.first === ports.last ? ports.first : { range: [ports.first, ports.last] };
}

function renderSnatAddresses(addresses: SnatAddresses): Json {
  if (addresses.kind === "range") {
    return addresses.first === addresses.last
      ? addresses.first
      : { range: [addresses.first, addresses.last] };
  }
  const key: Selector = {
    kind: "hash",
    of: { kind: "payload", protocol: "ip", field: "saddr" },
    modulus: addresses.addresses.length,
    seed: addresses.seed,
  };
  const entries = addresses.addresses.map(
    (address, index) => [{ kind: "number", value: index }, address] as const,
  );
  return { map: renderMap(key, entries, (address) => address) };
}

/** Returns the JSON of one statement; a log is two, for its limit comes first. */
export function renderStatement(statement: Statement): readonly Json[] {
  switch (statement.kind) {
    case "match": {
      const op = statement.operator === "not-in" ? "!" : statement.operator;
      const left = renderSelector(statement.left);
      return [{ match: { op, left, right: renderValue(statement.right) } }];
    }
    case "verdict":
      return [renderVerdict(statement.verdict)];
    case "verdict-map":
      return [{ vmap: renderMap(statement.key, statement.entries, renderVerdict) }];
    case "count":
      return [{ counter: statement.counter }];
    case "count-map":
      return [{ counter: { map: renderMap(statement.key, statement.entries, (name) => name) } }];
    case "reject":
      return [
        statement.how === "tcp-reset"
          ? { reject: { type: "tcp reset" } }
          : { reject: { type: "icmpx", expr: "admin-prohibited" } },
      ];
    case "mark-or":
      return [{ mangle: { key: MARK_KEY, value: { "|": [MARK_KEY, statement.bits] } } }];
    case "mark-and":
      return [{ mangle: { key: MARK_KEY, value: { "&": [MARK_KEY, statement.bits] } } }];
    case "mark-map": {
      const map = renderMap(statement.key, statement.entries, (mark) => mark);
      return [{ mangle: { key: MARK_KEY, value: { map } } }];
    }
    case "report-events":
      return [{ mangle: { key: { ct: { key: "event" } }, value: statement.mask } }];
    case "dnat": {
      const family = statement.family === 4 ? "ip" : "ip6";
      const port: { readonly port?: number } =
        statement.port === undefined ? {} : { port: statement.port };
      return [{ dnat: { family, addr: statement.address, ...port } }];
    }
    case "snat":
      return [renderSnat(statement)];
    case "log":
      return [
        { limit: { rate: statement.perSecondMax, burst: 5, per: "second" } },
        { log: { prefix: `flowlift ${statement.id} ` } },
      ];
  }
}

/** Returns the JSON of a rule's statements. */
export function renderRule(rule: Rule): readonly Json[] {
  return rule.flatMap(renderStatement);
}

/** Returns the commands that create or empty a chain and fill it. */
export function renderChainFill(table: TableName, chain: Chain): Json[] {
  return chain.rules.map((rule) => ({
    add: {
      rule: { family: table.family, table: table.name, chain: chain.name, expr: renderRule(rule) },
    },
  }));
}

export function renderAddTable(table: TableName): Json {
  return { add: { table: { family: table.family, name: table.name } } };
}

export function renderAddChain(table: TableName, name: ObjectName): Json {
  return { add: { chain: { family: table.family, table: table.name, name } } };
}

export function renderAddBaseChain(table: TableName, chain: BaseChain): Json {
  const { name, type, hook, priority, policy } = chain;
  return {
    add: {
      chain: { family: table.family, table: table.name, name, type, hook, prio: priority, policy },
    },
  };
}

export function renderFlushChain(table: TableName, name: string): Json {
  return { flush: { chain: { family: table.family, table: table.name, name } } };
}

export function renderDeleteChain(table: TableName, name: string): Json {
  return { delete: { chain: { family: table.family, table: table.name, name } } };
}

export function renderAddCounter(table: TableName, name: ObjectName): Json {
  return { add: { counter: { family: table.family, table: table.name, name } } };
}

export function renderDeleteCounter(table: TableName, name: string): Json {
  return { delete: { counter: { family: table.family, table: table.name, name } } };
}

export function renderList(what: "chains" | "counters" | "table", table: TableName): Json {
  const { family, name } = table;
  if (what === "chains") return { list: { chains: { family } } };
  return what === "table"
    ? { list: { table: { family, name } } }
    : { list: { counters: { family, table: name } } };
}

/** Wraps commands as one transaction. */
export function renderTransaction(commands: readonly Json[]): string {
  return JSON.stringify({ nftables: commands });
}
