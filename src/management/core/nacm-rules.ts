/**
 * The configured access rules, read once for each commit.
 *
 * Pure: (running) => rules. Source: RFC 8341 §3.4.
 */
import type { ContainerNode, DataRoot, LeafNode } from "../data-node.ts";
import {
  containerNamed,
  entriesNamed,
  leafNamed,
  valueNamed,
  valuesNamed,
} from "./tree-reading.ts";

export type AccessOperation = "create" | "read" | "update" | "delete" | "exec";
export type Verdict = "permit" | "deny";

/** One step of a rule's path; keys that are not named match every entry. */
export interface RuleStep {
  /** Absent: of any module. */
  readonly namespace: string | undefined;
  readonly name: string;
  /** Values of keys by name; "." is a leaf-list's value. */
  readonly keys: ReadonlyMap<string, string>;
}

export type RuleTarget =
  | { readonly kind: "any" }
  | { readonly kind: "rpc"; readonly name: string }
  | { readonly kind: "notification"; readonly name: string }
  | { readonly kind: "path"; readonly steps: readonly RuleStep[] };

export interface AccessRule {
  readonly name: string;
  /** "*": of any module. */
  readonly module: string;
  readonly target: RuleTarget;
  /** Absent: all. */
  readonly operations: ReadonlySet<string> | undefined;
  readonly verdict: Verdict;
}

export interface RuleList {
  readonly groups: readonly string[];
  readonly rules: readonly AccessRule[];
}

export interface AccessConfig {
  readonly isEnabled: boolean;
  readonly readDefault: Verdict;
  readonly writeDefault: Verdict;
  readonly execDefault: Verdict;
  readonly usesExternalGroups: boolean;
  /** Groups of each user. */
  readonly groupsOf: ReadonlyMap<string, readonly string[]>;
  readonly lists: readonly RuleList[];
}

/** Reads the `nacm` container; without it the defaults of the model hold. */
export function readAccessConfig(running: DataRoot): AccessConfig {
  const nacm = containerNamed(running, "nacm");
  const verdict = (name: string, fallback: Verdict): Verdict =>
    (valueNamed(nacm, name) as Verdict | undefined) ?? fallback;
  const groupsOf = new Map<string, string[]>();
  for (const group of entriesNamed(containerNamed(nacm, "groups"), "group")) {
    for (const user of valuesNamed(group, "user-name")) {
      groupsOf.set(user, [...(groupsOf.get(user) ?? []), valueNamed(group, "name") ?? ""]);
    }
  }
  return {
    isEnabled: valueNamed(nacm, "enable-nacm") !== "false",
    readDefault: verdict("read-default", "permit"),
    writeDefault: verdict("write-default", "deny"),
    execDefault: verdict("exec-default", "permit"),
    usesExternalGroups: valueNamed(nacm, "enable-external-groups") !== "false",
    groupsOf,
    lists: entriesNamed(nacm, "rule-list").map((list) => ({
      groups: valuesNamed(list, "group"),
      rules: entriesNamed(list, "rule").map(readRule),
    })),
  };
}

function readRule(rule: ContainerNode): AccessRule {
  const operations = valueNamed(rule, "access-operations") ?? "*";
  return {
    name: valueNamed(rule, "name") ?? "",
    module: valueNamed(rule, "module-name") ?? "*",
    target: readTarget(rule),
    operations: operations === "*" ? undefined : new Set(operations.split(/\s+/)),
    verdict: valueNamed(rule, "action") === "permit" ? "permit" : "deny",
  };
}

function readTarget(rule: ContainerNode): RuleTarget {
  const rpc = valueNamed(rule, "rpc-name");
  if (rpc !== undefined) return { kind: "rpc", name: rpc };
  const notification = valueNamed(rule, "notification-name");
  if (notification !== undefined) return { kind: "notification", name: notification };
  const path = leafNamed(rule, "path");
  return path === undefined ? { kind: "any" } : { kind: "path", steps: parseRulePath(path) };
}

const STEP = /\/\s*(?:([\w.-]+):)?([\w.-]+|\*)((?:\[[^\]'"]*(?:'[^']*'|"[^"]*")[^\]]*\])*)/g;
const PREDICATE = /\[\s*(?:[\w.-]+:)?([\w.-]+|\.)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]/g;

/** Reads a node-instance-identifier; its prefixes are those of the value. */
export function parseRulePath({ value, prefixes }: LeafNode): RuleStep[] {
  return [...value.matchAll(STEP)].map(([, prefix, name = "", predicates = ""]) => ({
    namespace: prefix === undefined ? undefined : prefixes[prefix],
    name,
    keys: new Map(
      [...predicates.matchAll(PREDICATE)].map(
        ([, key = "", single, double]) => [key, single ?? double ?? ""] as const,
      ),
    ),
  }));
}
