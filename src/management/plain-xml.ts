/**
 * Elements as libyang prints them, if they are written that way: default namespaces, no attributes.
 *
 * Pure. What has prefixes, operations or text between elements is left to the general way.
 */
import { escapeXml, type XmlElement } from "../lib/xml/tree.ts";
import type { Prefixes } from "./data-node.ts";

/** Returns the text, or undefined when the elements are not that plain. */
export function writePlain(elements: readonly XmlElement[], scope: Prefixes): string | undefined {
  const out: string[] = [];
  for (const element of elements) {
    if (!write(element, "", scope, out)) return undefined;
  }
  return out.join("");
}

function write(
  element: XmlElement,
  namespaceAbove: string,
  outer: Prefixes,
  out: string[],
): boolean {
  const { attributes, children, local, namespace, prefix, text } = element;
  if (prefix !== "") return false;
  let scope = outer;
  if (attributes.length > 0) {
    if (!attributes.every(({ name, prefix: own }) => name === "xmlns" || own === "xmlns")) {
      return false;
    }
    scope = { ...outer, ...element.declared };
  }
  let open = namespace === namespaceAbove ? local : `${local} xmlns="${escapeXml(namespace)}"`;
  if (children.length > 0) {
    if (text.trim() !== "") return false;
    out.push(`<${open}>`);
    for (const child of children) if (!write(child, namespace, scope, out)) return false;
    out.push(`</${local}>`);
    return true;
  }
  if (text === "") {
    out.push(`<${open}/>`);
    return true;
  }
  if (text.includes(":")) {
    for (const name in scope) {
      if (name !== "" && text.includes(`${name}:`)) {
        open += ` xmlns:${name}="${escapeXml(scope[name] ?? "")}"`;
      }
    }
  }
  out.push(`<${open}>${escapeXml(text)}</${local}>`);
  return true;
}
