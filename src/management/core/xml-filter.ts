/**
 * Subtree filters on elements that are no configuration: events.
 *
 * Pure. Source: RFC 6241 §6.2, RFC 5277 §2.1.1.
 */
import type { XmlElement } from "../../lib/xml/tree.ts";

/** Returns whether the filter selects anything of the event. */
export function filterSelects(filter: XmlElement, event: XmlElement): boolean {
  return filter.children.some((child) => selects(child, event));
}

function selects(filter: XmlElement, element: XmlElement): boolean {
  if (!isNamed(filter, element)) return false;
  const text = filter.text.trim();
  if (filter.children.length === 0) return text === "" || text === element.text.trim();
  const matches = filter.children.filter(isContentMatch);
  const isMatched = matches.every((match) =>
    element.children.some((child) => selects(match, child)),
  );
  if (!isMatched) return false;
  const rest = filter.children.filter((child) => !isContentMatch(child));
  return (
    rest.length === 0 || rest.some((part) => element.children.some((child) => selects(part, child)))
  );
}

function isContentMatch({ children, text }: XmlElement): boolean {
  return children.length === 0 && text.trim() !== "";
}

function isNamed(filter: XmlElement, element: XmlElement): boolean {
  if (filter.local !== element.local) return false;
  return filter.namespace === "" || filter.namespace === element.namespace;
}
