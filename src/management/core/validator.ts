/**
 * Validates configurations with libyang, and remembers the last one that was valid.
 *
 * Effect: owns one libyang tree. A small change is made in that tree and the whole is validated in
 * place; a large one is parsed anew in one call, because each call of libyang has its price.
 * Limit: INCREMENTAL_CHANGES_MAX.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import type { RpcError } from "../../lib/netconf/rpc-error.ts";
import { rpcErrorOfYang } from "../../lib/netconf/yang-error.ts";
import type { DataTree } from "../../lib/yang/data-tree.ts";
import { revalidate } from "../../lib/yang/tree-validation.ts";
import type { YangContext } from "../../lib/yang/yang-context.ts";
import { type DataNode, type DataRoot, formatPredicates, type LeafNode } from "../data-node.ts";
import { formatRoot } from "../data-xml.ts";
import { type Change, diffRoots, formatNodePath } from "./diff.ts";

/** More changes than this are not made one by one. */
export const INCREMENTAL_CHANGES_MAX = 256;
/** Nodes of one change that are made one by one. */
export const INCREMENTAL_NODES_MAX = 2_048;

interface Known {
  readonly root: DataRoot;
  readonly tree: DataTree;
}

export class Validator {
  readonly #yang: YangContext;
  #known: Known | undefined;

  constructor(yang: YangContext) {
    this.#yang = yang;
  }

  /** Returns the valid tree, defaults included; it belongs to the validator and lives until the next call. */
  validate(root: DataRoot): Result<DataTree, RpcError> {
    const known = this.#known;
    if (known !== undefined && known.root === root) return ok(known.tree);
    const small = known === undefined ? undefined : this.#validateChange(known, root);
    if (small !== undefined) return small;
    this.forget();
    const parsed = this.#yang.parseConfig(formatRoot(root), "xml");
    if (!parsed.ok) return err(rpcErrorOfYang(parsed.error));
    this.#known = { root, tree: parsed.value };
    return ok(parsed.value);
  }

  /** Gives the memory back. */
  forget(): void {
    this.#known?.tree.free();
    this.#known = undefined;
  }

  /** Returns undefined when the change is not one for this way. */
  #validateChange(known: Known, root: DataRoot): Result<DataTree, RpcError> | undefined {
    const changes = diffRoots(known.root, root);
    if (changes.length > INCREMENTAL_CHANGES_MAX || changes.some(isMove)) return undefined;
    const steps = planSteps(changes);
    if (steps === undefined || known.tree.isEmpty) return undefined;
    for (const { path, value } of steps) {
      const isDone =
        value === undefined ? known.tree.remove(path) : known.tree.newPath(path, value).ok;
      if (!isDone) return undefined; // The slow way says why.
    }
    const { problem, deleted } = revalidate(this.#yang, known.tree);
    // What validation deleted by itself must be told as what it is: the slow way does.
    if (deleted !== "") return undefined;
    if (problem !== undefined) {
      this.forget();
      return err(rpcErrorOfYang(problem));
    }
    this.#known = { root, tree: known.tree };
    return ok(known.tree);
  }
}

interface Step {
  readonly path: string;
  /** null: a node without value; undefined: the node goes. */
  readonly value: string | null | undefined;
}

function isMove(change: Change): boolean {
  return change.kind === "move";
}

/** Deletions first, so that cases of a choice never meet. */
function planSteps(changes: readonly Change[]): Step[] | undefined {
  const steps: Step[] = [];
  for (const { kind, place } of changes) {
    if (kind === "delete") steps.push({ path: formatNodePath(place), value: undefined });
  }
  for (const change of changes) {
    if (change.kind !== "create" && change.kind !== "modify") continue;
    if (change.place.schema.userOrdered && change.kind === "create") return undefined;
    if (!planCreation(change.after, formatNodePath(change.place), steps)) return undefined;
    if (steps.length > INCREMENTAL_NODES_MAX) return undefined;
  }
  return steps;
}

/** False: libyang has no short way to write this. */
function planCreation(node: DataNode, path: string, steps: Step[]): boolean {
  if (/'[^']*"|"[^"]*'/.test(path) && !isQuotable(path)) return false;
  if (node.kind === "leaf") {
    if (!isPlain(node)) return false;
    steps.push({ path, value: node.schema.kind === "leaf-list" ? null : node.value });
    return true;
  }
  if (node.kind !== "container") return false;
  steps.push({ path, value: null });
  for (const child of node.children.values()) {
    const { schema } = child;
    if (node.schema.keys.includes(schema.name)) continue;
    const name =
      schema.module === node.schema.module ? schema.name : `${schema.module}:${schema.name}`;
    if (child.kind !== "list") {
      if (!planCreation(child, `${path}/${name}`, steps)) return false;
      continue;
    }
    for (const [key, entry] of child.entries) {
      if (!planCreation(entry, `${path}/${name}${formatPredicates(schema, key)}`, steps)) {
        return false;
      }
    }
  }
  return true;
}

/** A value in a path must not hold both kinds of quotes. */
function isQuotable(path: string): boolean {
  return !/'[^']*'[^/\]]|"[^"]*"[^/\]]/.test(path);
}

/** A value that uses prefixes would be read with other ones. */
function isPlain(leaf: LeafNode): boolean {
  for (const _ in leaf.prefixes) return false;
  return leaf.schema.jsonKind !== "identity" && leaf.schema.jsonKind !== "instance";
}
