/**
 * Says in XML what an operation in CBOR says, right or wrong, so that one judge explains both.
 *
 * Pure. Runs for refused messages only. A value of the wrong sort is written as the text it looks like; keys
 * that are no SID of the module become elements that the module does not know.
 * Limit: DEPTH_MAX levels, XML_CHARACTERS_MAX characters.
 */
import { escapeXml } from "../lib/xml/tree.ts";
import {
  type CborReader,
  MAJOR_ARRAY,
  MAJOR_MAP,
  MAJOR_NEGATIVE,
  MAJOR_TEXT,
  MAJOR_UINT,
} from "./cbor-reader.ts";
import { SCHEMA } from "./cbor-schema.ts";
import type { SchemaNode } from "./cbor-schema-nodes.ts";
import { OFFLOAD_NAMESPACE } from "./hello.ts";

export const DEPTH_MAX = 16;
export const XML_CHARACTERS_MAX: number = 16 * 1024 * 1024;
const ELEMENT_NAME = /^[A-Za-z_][\w.-]*$/;
const SCOPE = ` xmlns="${OFFLOAD_NAMESPACE}"`;

/** Returns the elements of a map with absolute SIDs; throws CBOR_REFUSED where there is no such thing. */
export function operationToXml(reader: CborReader): string {
  const printer = new Printer(reader);
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const { name, node } = printer.readKey(SCHEMA);
    printer.item(name, SCOPE, node, 1);
  }
  return printer.text;
}

class Printer {
  readonly #reader: CborReader;
  text = "";

  constructor(reader: CborReader) {
    this.#reader = reader;
  }

  readKey(children: ReadonlyMap<number, SchemaNode>): {
    readonly name: string;
    readonly node: SchemaNode | undefined;
  } {
    const reader = this.#reader;
    if (reader.peekMajor() === MAJOR_TEXT) {
      const name = reader.text();
      if (!ELEMENT_NAME.test(name)) reader.refuse();
      return { name, node: undefined };
    }
    if (reader.peekMajor() === MAJOR_NEGATIVE) {
      return { name: `sid-minus-${reader.argument(MAJOR_NEGATIVE) + 1}`, node: undefined };
    }
    const key = reader.argument(MAJOR_UINT);
    const node = children.get(key);
    return { name: node?.name ?? `sid-${key}`, node };
  }

  /** Prints one value, or each of an array's, as an element. */
  item(name: string, attributes: string, node: SchemaNode | undefined, depth: number): void {
    const reader = this.#reader;
    if (depth > DEPTH_MAX || this.text.length > XML_CHARACTERS_MAX) reader.refuse();
    const major = reader.peekMajor();
    if (major === MAJOR_ARRAY) {
      for (let count = reader.array(); count > 0; count--) {
        this.item(name, attributes, node, depth + 1);
      }
      return;
    }
    this.text += `<${name}${attributes}>`;
    if (major === MAJOR_MAP) {
      for (let pairs = reader.map(); pairs > 0; pairs--) {
        const child = this.readKey(node?.children ?? NO_CHILDREN);
        this.item(child.name, "", child.node, depth + 1);
      }
    } else this.text += escapeXml(this.#scalar(node, major));
    this.text += `</${name}>`;
  }

  #scalar(node: SchemaNode | undefined, major: number): string {
    const reader = this.#reader;
    if (major === MAJOR_UINT) {
      const value = reader.uint64();
      return node?.names?.[Number(value)] ?? `${value}`;
    }
    if (major === MAJOR_NEGATIVE) return `${-1 - reader.argument(MAJOR_NEGATIVE)}`;
    if (major === MAJOR_TEXT) return reader.text();
    if (reader.isNull) {
      reader.null();
      return "";
    }
    return `${reader.boolean()}`;
  }
}

const NO_CHILDREN: ReadonlyMap<number, SchemaNode> = new Map();
