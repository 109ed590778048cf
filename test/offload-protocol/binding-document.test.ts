/** The vectors in docs/offload-binding.md are those of the file, and its figures are the code's. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { VM_LIMITS_DEFAULT } from "../../src/offload-bridge/limits.ts";
import { MESSAGE_ID_CHARACTERS_MAX } from "../../src/offload-protocol/codec-xml.ts";
import { HELLO_BYTES_MAX, OFFLOAD_REVISION } from "../../src/offload-protocol/hello.ts";
import {
  CHUNK_BYTES_MAX,
  FLOW_IDS_PER_WITHDRAW_MAX,
  FLOWS_PER_PAGE_MAX,
  FLOWS_PER_REQUEST_MAX,
  MESSAGE_BYTES_MAX,
  RULES_PER_FLOW_MAX,
} from "../../src/offload-protocol/messages.ts";
import { RETRY_MAX_MS, RETRY_MIN_MS } from "../../src/offload-protocol/session.ts";
import { encodeCborWire, readVectors, type Vector, type VectorValue } from "./vectors.ts";

const FILE = join(findProjectRoot(), "docs/offload-binding.md");
const BLOCK = /<!-- vector ([\w-]+) -->\n```\n([\s\S]*?)```\n/g;
const CBOR_BLOCK = /<!-- cbor ([\w-]+) -->\n```\n([\s\S]*?)```\n/g;
/** In which every byte of a number is escaped. */
const ESCAPED: VectorValue = {
  kind: "rpc",
  messageId: "9",
  request: { kind: "acknowledge-events", sequence: 0xfeffn },
};
const VECTORS = new Map(readVectors().map((vector) => [vector.name, vector]));

/** A vector as the document shows it: bytes, then the message, in lines that can be read. */
function render(vector: Vector): string {
  const hex = vector.hex.match(/.{1,64}/g) ?? [];
  const xml = vector.xml === undefined ? [] : ["", ...wrap(vector.xml)];
  return `${[...hex, ...xml].join("\n")}\n`;
}

/** The same message in CBOR. */
function renderCbor(name: string): string {
  const value = name === "escaped" ? ESCAPED : VECTORS.get(name)?.value;
  const hex = value === undefined ? "" : (encodeCborWire(value) ?? "");
  return `${(hex.match(/.{1,64}/g) ?? []).join("\n")}\n`;
}

/** Breaks between elements only, so that joining the lines gives the message back. */
function wrap(xml: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const piece of xml.split(/(?<=>)(?=<)/)) {
    if (line !== "" && line.length + piece.length > 100) {
      lines.push(line);
      line = "";
    }
    line += piece;
  }
  return [...lines, line];
}

if (process.env["UPDATE_EXPECTED"] === "1") {
  const fresh = readFileSync(FILE, "utf8").replace(BLOCK, (whole, name: string) => {
    const vector = VECTORS.get(name);
    return vector === undefined
      ? whole
      : `<!-- vector ${name} -->\n\`\`\`\n${render(vector)}\`\`\`\n`;
  });
  const both = fresh.replace(
    CBOR_BLOCK,
    (_, name: string) => `<!-- cbor ${name} -->\n\`\`\`\n${renderCbor(name)}\`\`\`\n`,
  );
  writeFileSync(FILE, both);
}
const DOCUMENT = readFileSync(FILE, "utf8");
const BLOCKS = Array.from(DOCUMENT.matchAll(BLOCK), ([, name = "", text = ""]) => ({ name, text }));

test("the document shows vectors of every kind of message", () => {
  expect(BLOCKS.length).toBeGreaterThanOrEqual(15);
  const kinds = new Set(BLOCKS.map(({ name }) => VECTORS.get(name)?.value.kind));
  expect([...kinds].sort()).toEqual([
    "hello",
    "marker",
    "notification",
    "rpc",
    "rpc-error",
    "rpc-reply",
  ]);
});

test.each(BLOCKS)("the document's vector $name is true", ({ name, text }) => {
  const vector = VECTORS.get(name);
  expect(vector).toBeDefined();
  expect(text).toBe(vector === undefined ? "" : render(vector));
  const [hex = "", xml] = text.split("\n\n");
  expect(hex.replaceAll("\n", "")).toBe(vector?.hex);
  expect(xml?.replaceAll("\n", "")).toBe(vector?.xml);
});

const CBOR_BLOCKS = Array.from(DOCUMENT.matchAll(CBOR_BLOCK), ([, name = "", text = ""]) => ({
  name,
  text,
}));

test.each(CBOR_BLOCKS)("the document's CBOR vector $name is true", ({ name, text }) => {
  expect(text.length).toBeGreaterThan(10);
  expect(text).toBe(renderCbor(name));
});

test("every message that the document shows in XML is shown in CBOR too", () => {
  const shown = BLOCKS.filter(({ name }) => {
    const kind = VECTORS.get(name)?.value.kind;
    return kind !== "hello" && kind !== "marker";
  });
  expect(CBOR_BLOCKS.map(({ name }) => name)).toEqual([
    ...shown.map(({ name }) => name),
    "escaped",
  ]);
  expect(renderCbor("escaped")).toContain("19fe00fe01");
});

test("the document's bounds are the code's", () => {
  const row = (what: string): string => {
    const line = DOCUMENT.split("\n").find((each) => each.startsWith(`| ${what}`));
    return line?.split("|")[2]?.trim() ?? "";
  };
  const number = (value: number): string => value.toLocaleString("en-US");
  expect(row("a message, chunks joined")).toBe(`${number(MESSAGE_BYTES_MAX)} bytes`);
  expect(row("a chunk")).toBe(`${number(CHUNK_BYTES_MAX)} bytes`);
  expect(row("a hello")).toBe(`${number(HELLO_BYTES_MAX)} bytes`);
  expect(row("`message-id`")).toBe(`${MESSAGE_ID_CHARACTERS_MAX} characters`);
  expect(row("flows in `request-offload`")).toBe(`1 to ${number(FLOWS_PER_REQUEST_MAX)}`);
  expect(row("flow ids in `withdraw-offload`")).toBe(`1 to ${number(FLOW_IDS_PER_WITHDRAW_MAX)}`);
  expect(row("flows in a page of `get-flows`")).toBe(`1 to ${number(FLOWS_PER_PAGE_MAX)}`);
  expect(row("rules of a flow")).toBe(String(RULES_PER_FLOW_MAX));
  const { messagesPerSec, messagesBurst, bytesPerSec, bytesBurst } = VM_LIMITS_DEFAULT;
  expect(row("messages and bytes a second")).toBe(
    `${number(messagesPerSec)} messages, ${bytesPerSec / 2 ** 20} MiB, twice and half of it at once (defaults)`,
  );
  expect([messagesBurst / messagesPerSec, bytesBurst / bytesPerSec]).toEqual([2, 0.5]);
  expect(DOCUMENT).toContain(
    `starts at ${RETRY_MIN_MS / 1000} second and doubles up to ${RETRY_MAX_MS / 1000} seconds`,
  );
  expect(DOCUMENT).toContain(`revision ${OFFLOAD_REVISION}`);
});
