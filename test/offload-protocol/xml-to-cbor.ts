/** Says in CBOR what a request in XML says, right or wrong: the inverse of cbor-to-xml.ts, for tests. */
import { parseXml, type XmlElement } from "../../src/lib/xml/tree.ts";
import { SCHEMA } from "../../src/offload-protocol/cbor-schema.ts";
import type { SchemaChildren, SchemaNode } from "../../src/offload-protocol/cbor-schema-nodes.ts";
import { CborWriter } from "../../src/offload-protocol/cbor-writer.ts";

/** Paths whose entries make an array. */
const ARRAYS = ["request-offload/flow", "flow/rule", "withdraw-offload/flow-id"];
/** Leaves whose values are text even when they look like numbers. */
const TEXTS = ["epoch", "after-epoch", "attachment", "name", "vnic", "next-hop"];
const ROOM_BYTES = 64;

/** Returns the message, or undefined for text that is no rpc with an operation. */
export function xmlToCbor(xml: string): Buffer | undefined {
  const root = parseXml(Buffer.from(xml));
  if (!root.ok) return undefined;
  const messageId = root.value.attributes.find(({ local }) => local === "message-id")?.value;
  const [operation] = root.value.children;
  if (messageId === undefined || operation === undefined) return undefined;
  if (operation.namespace !== "urn:flowlift:offload") return undefined; // SIDs are of one module.
  const writer = new CborWriter();
  writer.reserve(ROOM_BYTES);
  writer.array(3);
  writer.uint(0);
  writer.text(messageId);
  writeMap(writer, "", root.value.children, SCHEMA);
  return writer.finish();
}

function writeMap(
  writer: CborWriter,
  parent: string,
  elements: readonly XmlElement[],
  children: SchemaChildren,
): void {
  const groups: XmlElement[][] = [];
  for (const element of elements) {
    const group = groups.find(([first]) => first?.local === element.local);
    if (group !== undefined && ARRAYS.includes(`${parent}/${element.local}`)) group.push(element);
    else groups.push([element]);
  }
  writer.reserve(ROOM_BYTES);
  writer.map(groups.length);
  for (const group of groups) {
    const local = group[0]?.local ?? "";
    const pair = [...children].find(([, { name }]) => name === local);
    writer.reserve(ROOM_BYTES);
    if (pair === undefined) writer.text(local);
    else writer.uint(pair[0]);
    writer.reserve(ROOM_BYTES);
    if (ARRAYS.includes(`${parent}/${local}`)) writer.array(group.length);
    for (const element of group) writeItem(writer, element, pair?.[1]);
  }
}

function writeItem(writer: CborWriter, element: XmlElement, node: SchemaNode | undefined): void {
  writer.reserve(ROOM_BYTES);
  const { text, local } = element;
  const value = node?.names?.indexOf(text) ?? -1;
  if (node?.children !== undefined) writeMap(writer, local, element.children, node.children);
  else if (value >= 0) writer.uint(value);
  else if (local === "all" && text === "") writer.null();
  else if (node?.names !== undefined) writer.text(text);
  else if (!TEXTS.includes(local) && /^-?\d{1,20}$/.test(text)) writeNumber(writer, text);
  else writer.text(text);
}

function writeNumber(writer: CborWriter, text: string): void {
  const value = BigInt(text);
  if (value < 0n) writer.negative(Number(value));
  else if (value < 1n << 64n) writer.uint64(value);
  else writer.text(text);
}
