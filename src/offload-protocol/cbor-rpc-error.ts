/**
 * The errors of an rpc-reply in CBOR: maps with names as keys, since ietf-netconf has no SIDs.
 *
 * Pure. Source: RFC 6241 §4.3. Rare, so short rather than fast.
 */
import type { CborReader } from "./cbor-reader.ts";
import type { CborWriter } from "./cbor-writer.ts";
import type { ReceivedRpcError } from "./decode-rpc-error.ts";

const TYPE = "error-type";
const TAG = "error-tag";
const SEVERITY = "error-severity";
const APP_TAG = "error-app-tag";
const PATH = "error-path";
const MESSAGE = "error-message";
const INFO = "error-info";
const ITEM_BYTES_MAX = 16;

export function writeErrors(writer: CborWriter, errors: readonly ReceivedRpcError[]): void {
  writer.reserve(ITEM_BYTES_MAX);
  writer.array(errors.length);
  for (const error of errors) writeError(writer, error);
}

function writeError(writer: CborWriter, error: ReceivedRpcError): void {
  const texts = [
    [TYPE, error.type],
    [TAG, error.tag],
    [SEVERITY, "error"],
    [APP_TAG, error.appTag],
    [PATH, error.path],
    [MESSAGE, error.message],
  ] as const;
  const present = texts.filter(([, text]) => text !== undefined);
  writer.reserve(ITEM_BYTES_MAX);
  writer.map(present.length + (error.info.length > 0 ? 1 : 0));
  for (const [name, text] of present) {
    writer.text(name);
    writer.text(text ?? "");
  }
  if (error.info.length === 0) return;
  writer.text(INFO);
  writer.reserve(ITEM_BYTES_MAX);
  // An array of pairs: a name may come twice.
  writer.array(error.info.length);
  for (const { name, text } of error.info) {
    writer.reserve(ITEM_BYTES_MAX);
    writer.array(2);
    writer.text(name);
    writer.text(text);
  }
}

export function readErrors(reader: CborReader): ReceivedRpcError[] {
  const errors: ReceivedRpcError[] = [];
  for (let count = reader.array(); count > 0; count--) errors.push(readError(reader));
  return errors;
}

function readError(reader: CborReader): ReceivedRpcError {
  const texts = new Map<string, string>();
  let info: ReceivedRpcError["info"] = [];
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const name = reader.text();
    if (texts.has(name)) reader.refuse();
    if (name === INFO) info = readInfo(reader);
    texts.set(name, name === INFO ? "" : reader.text());
  }
  const appTag = texts.get(APP_TAG);
  const path = texts.get(PATH);
  return {
    type: texts.get(TYPE) ?? "",
    tag: texts.get(TAG) ?? "",
    message: texts.get(MESSAGE) ?? "",
    ...(appTag === undefined ? {} : { appTag }),
    ...(path === undefined ? {} : { path }),
    info,
  };
}

function readInfo(reader: CborReader): ReceivedRpcError["info"] {
  const info: { readonly name: string; readonly text: string }[] = [];
  for (let count = reader.array(); count > 0; count--) {
    if (reader.array() !== 2) reader.refuse();
    info.push({ name: reader.text(), text: reader.text() });
  }
  return info;
}
