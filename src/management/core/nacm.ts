/**
 * Access control: what one user may run, see, change and be told.
 *
 * Pure: (rules, user) => decisions; those that hold for all instances of a schema node are made
 * once. Source: RFC 8341 §3.2, §3.4. A denied node is left out with all below it, without a word;
 * a denied change or operation is `access-denied`.
 */
import { applicationError, protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { DataNode, DataRoot, EntryNode, ListNode } from "../data-node.ts";
import type { DefaultDeny, SchemaNode, SchemaOperation } from "../schema.ts";
import type { Access } from "./access.ts";
import { type Change, formatNodePath, type NodePlace } from "./diff.ts";
import type { AccessConfig, AccessOperation, AccessRule, RuleStep, Verdict } from "./nacm-rules.ts";

/** Shared by all users of a server (RFC 8341: the counters of the nacm container). */
export interface DeniedCounters {
  operations: number;
  writes: number;
  notifications: number;
}

/** What holds for a schema node: below it as well, or only an instance can tell. */
type Known = "all" | "none" | "look";

/** Always allowed, whatever rules say (RFC 8341 §3.4.4 step 3). */
const ALWAYS = "close-session";
/** The RFC 8341 form of ietf-netconf marks these; the packaged module does not. */
const DENIED_OPERATIONS: ReadonlySet<string> = new Set(["kill-session", "delete-config"]);

export class UserAccess implements Access {
  readonly #config: AccessConfig;
  readonly #rules: readonly AccessRule[];
  readonly #counters: DeniedCounters;
  readonly #username: string;
  readonly #known = new Map<AccessOperation, Map<SchemaNode, Known>>();

  constructor(
    config: AccessConfig,
    username: string,
    externalGroups: readonly string[],
    counters: DeniedCounters,
  ) {
    const groups = new Set([
      ...(config.groupsOf.get(username) ?? []),
      ...(config.usesExternalGroups ? externalGroups : []),
    ]);
    this.#config = config;
    this.#username = username;
    this.#counters = counters;
    this.#rules = config.lists
      .filter((list) => list.groups.some((group) => group === "*" || groups.has(group)))
      .flatMap(({ rules }) => rules);
  }

  refuseOperation(operation: SchemaOperation, place?: NodePlace): RpcError | undefined {
    const { module, name } = operation;
    if (module === "ietf-netconf" && name === ALWAYS) return undefined;
    const isMarked =
      operation.defaultDeny === "all" || (module === "ietf-netconf" && DENIED_OPERATIONS.has(name));
    const rule = this.#rules.find(
      (item) =>
        allows(item, "exec") &&
        isModule(item, module) &&
        (item.target.kind === "any" ||
          (item.target.kind === "rpc" && isName(item.target.name, name)) ||
          (place !== undefined && matchesPlace(item, place))),
    );
    const verdict = rule?.verdict ?? (isMarked ? "deny" : this.#config.execDefault);
    if (verdict === "permit") return undefined;
    this.#counters.operations++;
    const text = `User "${this.#username}" may not run "${module}:${name}"${because(rule)}`;
    return protocolError("access-denied", text);
  }

  mayReceive({ module, name, defaultDeny }: SchemaOperation): boolean {
    if (module === "nc-notifications") return true; // replayComplete, notificationComplete.
    const rule = this.#rules.find(
      (item) =>
        allows(item, "read") &&
        isModule(item, module) &&
        (item.target.kind === "any" ||
          (item.target.kind === "notification" && isName(item.target.name, name))),
    );
    const verdict = rule?.verdict ?? (defaultDeny === "all" ? "deny" : this.#config.readDefault);
    if (verdict === "deny") this.#counters.notifications++;
    return verdict === "permit";
  }

  prune(root: DataRoot): DataRoot {
    return this.#pruneSiblings(root, undefined);
  }

  #pruneSiblings(nodes: DataRoot, above: NodePlace | undefined): DataRoot {
    let kept: Map<SchemaNode, DataNode> | undefined;
    for (const [schema, node] of nodes) {
      const known = this.#knownOf(schema, "read");
      const part = known === "all" ? node : known === "none" ? undefined : this.#look(node, above);
      if (part === node) continue;
      kept ??= new Map(nodes);
      if (part === undefined) kept.delete(schema);
      else kept.set(schema, part);
    }
    return kept ?? nodes;
  }

  #look(node: DataNode, above: NodePlace | undefined): DataNode | undefined {
    if (node.kind === "list") return this.#lookAtList(node, above);
    return this.#lookAt(node, { above, schema: node.schema, entryKey: "" });
  }

  #lookAt<T extends Exclude<DataNode, ListNode>>(node: T, place: NodePlace): T | undefined {
    if (this.#decide(place, "read") === "deny") return undefined;
    if (node.kind !== "container") return node;
    const children = this.#pruneSiblings(node.children, place);
    return children === node.children ? node : { ...node, children };
  }

  #lookAtList(list: ListNode, above: NodePlace | undefined): ListNode | undefined {
    const entries = new Map<string, EntryNode>();
    let isSame = true;
    for (const [entryKey, entry] of list.entries) {
      const part = this.#lookAt(entry, { above, schema: list.schema, entryKey });
      if (part !== undefined) entries.set(entryKey, part);
      isSame &&= part === entry;
    }
    if (isSame) return list;
    return entries.size === 0 ? undefined : { ...list, entries };
  }

  refuseChanges(changes: readonly Change[]): RpcError | undefined {
    for (const change of changes) {
      const denied = this.#findDenied(change);
      if (denied === undefined) continue;
      this.#counters.writes++;
      const path = formatNodePath(denied.place);
      const verb = denied.operation === "update" ? "change" : denied.operation;
      const rule = this.#ruleOf(denied.place, denied.operation);
      const text = `User "${this.#username}" may not ${verb} "${path}"${because(rule)}`;
      return applicationError("access-denied", text, { path });
    }
    return undefined;
  }

  #findDenied(change: Change): Denied | undefined {
    if (change.kind === "create") return this.#findBelow(change.after, change.place, "create");
    if (change.kind === "delete") return this.#findBelow(change.before, change.place, "delete");
    const { place } = change;
    return this.#decide(place, "update") === "deny" ? { place, operation: "update" } : undefined;
  }

  #findBelow(node: DataNode, place: NodePlace, operation: AccessOperation): Denied | undefined {
    const known = this.#knownOf(place.schema, operation);
    if (known === "all") return undefined;
    if (this.#decide(place, operation) === "deny") return { place, operation };
    if (node.kind !== "container") return undefined;
    for (const [schema, child] of node.children) {
      if (child.kind !== "list") {
        const denied = this.#findBelow(child, { above: place, schema, entryKey: "" }, operation);
        if (denied !== undefined) return denied;
        continue;
      }
      for (const [entryKey, entry] of child.entries) {
        const denied = this.#findBelow(entry, { above: place, schema, entryKey }, operation);
        if (denied !== undefined) return denied;
      }
    }
    return undefined;
  }

  #knownOf(schema: SchemaNode, operation: AccessOperation): Known {
    const ofOperation = this.#known.get(operation) ?? new Map<SchemaNode, Known>();
    this.#known.set(operation, ofOperation);
    const known = ofOperation.get(schema);
    if (known !== undefined) return known;
    const made = this.#make(schema, operation);
    ofOperation.set(schema, made);
    return made;
  }

  #make(schema: SchemaNode, operation: AccessOperation): Known {
    const place = placeOf(schema);
    for (const rule of this.#rules) {
      if (!allows(rule, operation) || !isModule(rule, schema.module)) continue;
      const match = rule.target.kind === "any" ? "yes" : matchSchema(rule, place);
      if (match === "no") continue;
      if (match === "maybe") return "look";
      return rule.verdict === "deny" ? "none" : this.#below(schema, operation);
    }
    const verdict = this.#defaultOf(schema.defaultDeny, operation);
    return verdict === "deny" ? "none" : this.#below(schema, operation);
  }

  #below(schema: SchemaNode, operation: AccessOperation): Known {
    for (const siblings of schema.children.values()) {
      for (const child of siblings) if (this.#knownOf(child, operation) !== "all") return "look";
    }
    return "all";
  }

  #decide(place: NodePlace, operation: AccessOperation): Verdict {
    const rule = this.#ruleOf(place, operation);
    return rule?.verdict ?? this.#defaultOf(place.schema.defaultDeny, operation);
  }

  #ruleOf(place: NodePlace, operation: AccessOperation): AccessRule | undefined {
    return this.#rules.find(
      (rule) =>
        allows(rule, operation) &&
        isModule(rule, place.schema.module) &&
        (rule.target.kind === "any" || matchesPlace(rule, place)),
    );
  }

  #defaultOf(mark: DefaultDeny | undefined, operation: AccessOperation): Verdict {
    if (mark === "all") return "deny";
    if (operation === "read") return this.#config.readDefault;
    return mark === "write" ? "deny" : this.#config.writeDefault;
  }
}

interface Denied {
  readonly place: NodePlace;
  readonly operation: AccessOperation;
}

function because(rule: AccessRule | undefined): string {
  return rule === undefined ? ": no rule allows it" : `: rule "${rule.name}" denies it`;
}

function allows(rule: AccessRule, operation: AccessOperation): boolean {
  return rule.operations === undefined || rule.operations.has(operation);
}

function isModule(rule: AccessRule, module: string): boolean {
  return rule.module === "*" || rule.module === module;
}

function isName(wanted: string, name: string): boolean {
  return wanted === "*" || wanted === name;
}

function placeOf(schema: SchemaNode): NodePlace {
  const above = schema.parent === undefined ? undefined : placeOf(schema.parent);
  return { above, schema, entryKey: "" };
}

function stepsOf(place: NodePlace): NodePlace[] {
  const steps: NodePlace[] = [];
  for (let at: NodePlace | undefined = place; at !== undefined; at = at.above) steps.unshift(at);
  return steps;
}

/** A rule's path names its node and all below it. */
function matchesPlace(rule: AccessRule, place: NodePlace): boolean {
  if (rule.target.kind !== "path") return false;
  const places = stepsOf(place);
  return rule.target.steps.every((step, index) => {
    const at = places[index];
    return at !== undefined && isStep(step, at.schema) && hasKeys(step, at);
  });
}

/** Whether the rule holds for all, some or no instances of a schema node. */
function matchSchema(rule: AccessRule, place: NodePlace): "yes" | "no" | "maybe" {
  if (rule.target.kind !== "path") return "no";
  const places = stepsOf(place);
  const { steps } = rule.target;
  const isHere = steps.every((step, index) => {
    const at = places[index];
    return at !== undefined && isStep(step, at.schema);
  });
  if (!isHere) return "no";
  return steps.every(({ keys }) => keys.size === 0) ? "yes" : "maybe";
}

function isStep(step: RuleStep, schema: SchemaNode): boolean {
  if (step.name !== "*" && step.name !== schema.name) return false;
  return step.namespace === undefined || step.namespace === schema.namespace;
}

const KEY_SEPARATOR = "\u0000";

function hasKeys(step: RuleStep, { entryKey, schema }: NodePlace): boolean {
  if (step.keys.size === 0) return true;
  const values = entryKey.split(KEY_SEPARATOR);
  for (const [name, wanted] of step.keys) {
    const value = name === "." ? entryKey : values[schema.keys.indexOf(name)];
    if (value !== wanted) return false;
  }
  return true;
}
