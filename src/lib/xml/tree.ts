/**
 * A small XML tree with namespaces: strict, bounded, no DTD.
 *
 * Pure. Source: XML 1.0, Namespaces in XML 1.0; RFC 6241 §3 (UTF-8, no DOCTYPE).
 * Limit: XML_DEPTH_MAX nested elements; the caller bounds the bytes.
 */
import { type SaxesAttributeNS, SaxesParser } from "saxes";
import { err, ok, type Result } from "../base/result.ts";

export const XML_DEPTH_MAX = 256;

export interface XmlAttribute {
  readonly name: string;
  readonly prefix: string;
  readonly local: string;
  readonly namespace: string;
  readonly value: string;
}

/** An element; `text` is the concatenation of its own character data, untrimmed. */
export interface XmlElement {
  readonly local: string;
  readonly prefix: string;
  readonly namespace: string;
  readonly attributes: readonly XmlAttribute[];
  readonly children: readonly XmlElement[];
  readonly text: string;
  /** Prefixes declared on this element itself; "" is the default namespace. */
  readonly declared: Readonly<Record<string, string>>;
}

export type XmlError = {
  readonly kind: "xml-malformed" | "xml-doctype" | "xml-too-deep";
  readonly message: string;
};

interface Building {
  local: string;
  prefix: string;
  namespace: string;
  attributes: XmlAttribute[];
  children: Building[];
  text: string;
  declared: Record<string, string>;
}

/** Returns the root element of a document given as text or UTF-8 bytes. */
export function parseXml(input: string | Uint8Array): Result<XmlElement, XmlError> {
  let text: string;
  try {
    text =
      typeof input === "string" ? input : new TextDecoder("utf-8", { fatal: true }).decode(input);
  } catch {
    return err({ kind: "xml-malformed", message: "The bytes are not UTF-8" });
  }
  const parser = new SaxesParser({ xmlns: true });
  const stack: Building[] = [];
  let root: Building | undefined;
  let problem: XmlError | undefined;
  const fail = (error: XmlError): void => {
    problem ??= error;
  };
  parser.on("error", (error) => fail({ kind: "xml-malformed", message: error.message }));
  parser.on("doctype", () =>
    fail({ kind: "xml-doctype", message: "A document type is not allowed" }),
  );
  parser.on("opentag", (tag) => {
    if (stack.length >= XML_DEPTH_MAX) {
      fail({ kind: "xml-too-deep", message: `Elements nest deeper than ${XML_DEPTH_MAX}` });
      return;
    }
    const element: Building = {
      local: tag.local,
      prefix: tag.prefix,
      namespace: tag.uri,
      attributes: readAttributes(tag.attributes),
      children: [],
      text: "",
      declared: readDeclared(tag.ns),
    };
    stack.at(-1)?.children.push(element);
    root ??= element;
    stack.push(element);
  });
  const addText = (piece: string): void => {
    const top = stack.at(-1);
    if (top !== undefined) top.text += piece;
  };
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => {
    stack.pop();
  });
  for (let at = 0; at < text.length && problem === undefined; at += 65_536) {
    parser.write(text.slice(at, at + 65_536));
  }
  if (problem === undefined) parser.close();
  if (problem !== undefined) return err(problem);
  if (root === undefined) return err({ kind: "xml-malformed", message: "The document is empty" });
  return ok(root);
}

const NO_ATTRIBUTES: XmlAttribute[] = [];
const NOTHING_DECLARED: Record<string, string> = {};

/** Most elements of configuration have no attribute: they share one empty list. */
function readAttributes(attributes: Readonly<Record<string, SaxesAttributeNS>>): XmlAttribute[] {
  let list = NO_ATTRIBUTES;
  for (const key in attributes) {
    const attribute = attributes[key];
    if (attribute === undefined) continue;
    const { name, prefix, local, uri, value } = attribute;
    if (list === NO_ATTRIBUTES) list = [];
    list.push({ name, prefix, local, namespace: uri, value });
  }
  return list;
}

function readDeclared(ns: Readonly<Record<string, string>>): Record<string, string> {
  for (const _ in ns) return { ...ns };
  return NOTHING_DECLARED;
}

/** Returns the first child with this name, in `namespace` when it is given. */
export function childOf(
  element: XmlElement,
  local: string,
  namespace?: string,
): XmlElement | undefined {
  return element.children.find(
    (child) => child.local === local && (namespace === undefined || child.namespace === namespace),
  );
}

/** Returns every child with this name. */
export function childrenOf(element: XmlElement, local: string): XmlElement[] {
  return element.children.filter((child) => child.local === local);
}

/** Returns the trimmed text of the child with this name. */
export function textOf(element: XmlElement, local: string): string | undefined {
  return childOf(element, local)?.text.trim();
}

/** Returns the value of an attribute without namespace. */
export function attributeOf(element: XmlElement, name: string): string | undefined {
  return element.attributes.find((attribute) => attribute.name === name)?.value;
}

/** Escapes character data and attribute values. */
export function escapeXml(text: string): string {
  if (!/[&<>"]/.test(text)) return text;
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** Returns the element as text, with the prefixes it was read with; `inherited` are those in scope. */
export function formatXml(
  element: XmlElement,
  inherited: Readonly<Record<string, string>> = {},
): string {
  const scope: Record<string, string> = { ...inherited };
  let head = element.prefix === "" ? element.local : `${element.prefix}:${element.local}`;
  const name = head;
  const declare = (prefix: string, namespace: string): void => {
    if (scope[prefix] === namespace || (prefix === "" && namespace === "" && !scope[""])) return;
    scope[prefix] = namespace;
    head += ` xmlns${prefix === "" ? "" : `:${prefix}`}="${escapeXml(namespace)}"`;
  };
  for (const [prefix, namespace] of Object.entries(element.declared)) declare(prefix, namespace);
  declare(element.prefix, element.namespace);
  for (const attribute of element.attributes) {
    if (attribute.name === "xmlns" || attribute.prefix === "xmlns") continue;
    if (attribute.prefix !== "" && attribute.prefix !== "xml")
      declare(attribute.prefix, attribute.namespace);
    head += ` ${attribute.name}="${escapeXml(attribute.value)}"`;
  }
  const inner =
    (element.text.trim() === "" && element.children.length > 0 ? "" : escapeXml(element.text)) +
    element.children.map((child) => formatXml(child, scope)).join("");
  return inner === "" ? `<${head}/>` : `<${head}>${inner}</${name}>`;
}
