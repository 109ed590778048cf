/** What a decoder says of the open element's children. Pure. Source: RFC 7950 §8.3, §15. */
import { elementError, protocolError } from "../lib/netconf/rpc-error.ts";
import type { XmlReader } from "./xml-reader.ts";

/** The element closed last lacks a child. */
export function failMissing(reader: XmlReader, local: string): void {
  reader.failClosed(elementError("missing-element", local, `"${local}" is missing`));
}

/** The element opened last is not known here. */
export function failUnknown(reader: XmlReader, local: string): void {
  reader.fail(elementError("unknown-element", local, `"${local}" is not known here`));
}

/** A list has too many entries; the element closed last is one too many. */
export function failTooMany(reader: XmlReader, local: string, max: number): void {
  reader.failClosed(
    protocolError("operation-failed", `There are more than ${max} of "${local}"`, {
      type: "application",
      appTag: "too-many-elements",
    }),
  );
}

/** A list of the element closed last has too few entries. */
export function failTooFew(reader: XmlReader, local: string, min: number): void {
  reader.failClosed(
    protocolError("operation-failed", `There are fewer than ${min} of "${local}"`, {
      type: "application",
      appTag: "too-few-elements",
    }),
  );
}

/** A `must` of the module does not hold in the element closed last. */
export function failMust(reader: XmlReader, message: string): void {
  reader.failClosed(
    protocolError("operation-failed", message, { type: "application", appTag: "must-violation" }),
  );
}

/** Two entries of a list of the element closed last have the same key. */
export function failDuplicateKey(reader: XmlReader, local: string): void {
  reader.failClosed(
    elementError("bad-element", local, `Two entries of "${local}" have the same key`),
  );
}
