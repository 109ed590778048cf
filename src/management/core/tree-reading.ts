/** Looks at small pieces of a tree by name. Pure. */
import type { ContainerNode, DataNode, DataRoot, LeafNode } from "../data-node.ts";

/** Returns the child with this name (of any module). */
export function childNamed(
  children: DataRoot | ContainerNode | undefined,
  name: string,
): DataNode | undefined {
  const map = children !== undefined && "children" in children ? children.children : children;
  for (const [schema, node] of map ?? []) if (schema.name === name) return node;
  return undefined;
}

export function containerNamed(
  parent: DataRoot | ContainerNode | undefined,
  name: string,
): ContainerNode | undefined {
  const node = childNamed(parent, name);
  return node?.kind === "container" ? node : undefined;
}

export function leafNamed(parent: ContainerNode | undefined, name: string): LeafNode | undefined {
  const node = childNamed(parent, name);
  return node?.kind === "leaf" ? node : undefined;
}

/** Returns a leaf's value. */
export function valueNamed(parent: ContainerNode | undefined, name: string): string | undefined {
  return leafNamed(parent, name)?.value;
}

/** Returns the entries of a list, in order. */
export function entriesNamed(parent: ContainerNode | undefined, name: string): ContainerNode[] {
  const node = childNamed(parent, name);
  if (node?.kind !== "list") return [];
  return [...node.entries.values()].filter((entry) => entry.kind === "container");
}

/** Returns the values of a leaf-list, in order. */
export function valuesNamed(parent: ContainerNode | undefined, name: string): string[] {
  const node = childNamed(parent, name);
  if (node?.kind !== "list") return [];
  return [...node.entries.values()].flatMap((entry) =>
    entry.kind === "leaf" ? [entry.value] : [],
  );
}
