/**
 * Requests that are wrong in exactly one place, with the error-tag that answers each.
 *
 * Every leaf of every request is broken once in each way that its type allows: wrong type, out of
 * range, unknown name, missing, twice; and everything that may not be named at all is named once.
 */
import { encodeRpc } from "../../src/offload-protocol/codec-xml.ts";
import type { OffloadRequest } from "../../src/offload-protocol/messages.ts";
import { readVectors } from "./vectors.ts";

export interface BrokenRequest {
  readonly name: string;
  readonly xml: string;
  readonly tag: string;
}

const UINT64 = ["-1", "18446744073709551616", "many", ""];
const UINT32 = ["-1", "4294967296", "1.5", ""];
const PORT = ["-1", "65536", "http", ""];
const EPOCH = ["5f1c0a3b9d7e284", "5F1C0A3B9D7E2846", "5f1c0a3b9d7e28460", ""];
const ADDRESS = ["10.0.0.256", "10.0.0", "fe80::1%eth0", "2001:db8::/32", "here", ""];
const MAC = ["02:00:00:00:01", "02:00:00:00:01:0g", "02-00-00-00-01-01", ""];
const MTU = ["575", "65536", "big", ""];
const TEXT = ["", "x".repeat(65)];

/** Values that the type of a leaf excludes, by the leaf's name. */
const WRONG_VALUES: Readonly<Record<string, readonly string[]>> = {
  epoch: EPOCH,
  "after-epoch": EPOCH,
  "flow-id": UINT64,
  "after-flow-id": UINT64,
  "policy-epoch": UINT64,
  version: UINT64,
  "expected-version": UINT64,
  sequence: UINT64,
  service: ["router", "NAT", "1", ""],
  directions: ["reply-only", ""],
  direction: ["sideways", ""],
  attachment: TEXT,
  name: TEXT,
  "policy-tag": UINT32,
  "idle-timeout": UINT32,
  vnic: MAC,
  "next-hop": MAC,
  protocol: ["256", "-1", "tcp", ""],
  "source-address": ADDRESS,
  "destination-address": ADDRESS,
  "source-port": PORT,
  "destination-port": PORT,
  mtu: MTU,
  limit: ["0", "1025", "all", ""],
  all: ["true"],
};

/** Elements that may be absent: within these parents, or by these names. */
const OPTIONAL_PARENTS = ["rewrite", "original-egress", "reply-egress"];
const OPTIONAL_LEAVES = ["version", "limit", "update-offload/idle-timeout"];
/** What is missing when these are absent. */
const MISSING_TAGS: Readonly<Record<string, string>> = {
  "withdraw-offload/flow-id": "data-missing",
  "withdraw-offload/policy-tag": "data-missing",
  "withdraw-offload/all": "data-missing",
  "get-flows/after-epoch": "operation-failed",
  "get-flows/after-flow-id": "operation-failed",
};
const NEVER_NAMED = ["tenant", "vm", "host", "segment", "priority"];

/** One leaf in the text of a message. */
interface Leaf {
  readonly path: string;
  readonly local: string;
  readonly parent: string;
  readonly start: number;
  readonly end: number;
}

/** Finds the leaves of a message of our own encoding, `<x>text</x>` or `<x/>`, below the rpc. */
function findLeaves(xml: string): Leaf[] {
  const leaves: Leaf[] = [];
  const open: string[] = [];
  const tags = /<(\/?)([\w-]+)[^>]*?(\/?)>/g;
  for (let tag = tags.exec(xml); tag !== null; tag = tags.exec(xml)) {
    const [whole, closing, local = "", empty] = tag;
    if (closing === "/") {
      open.pop();
      continue;
    }
    const text = xml.indexOf("<", tags.lastIndex);
    const isLeaf = empty === "/" || xml.startsWith(`</${local}>`, text);
    if (isLeaf) {
      const end = empty === "/" ? tag.index + whole.length : text + local.length + 3;
      const path = [...open.slice(1), local].join("/");
      leaves.push({ path, local, parent: open.at(-1) ?? "", start: tag.index, end });
    }
    if (empty !== "/") open.push(local);
  }
  return leaves;
}

function replaceLeaf(xml: string, leaf: Leaf, text: string): string {
  return xml.slice(0, leaf.start) + text + xml.slice(leaf.end);
}

/** One request of each shape, every optional leaf present. */
export function completeRequests(): OffloadRequest[] {
  return readVectors().flatMap(({ value, name }) =>
    value.kind === "rpc" && name !== "get-flows" ? [value.request] : [],
  );
}

function breakLeaf(xml: string, leaf: Leaf): BrokenRequest[] {
  const wrong = WRONG_VALUES[leaf.local];
  if (wrong === undefined) throw new Error(`No wrong values are known for ${leaf.path}`);
  const original = xml.slice(leaf.start, leaf.end);
  const broken: BrokenRequest[] = wrong.map((value) => ({
    name: `${leaf.path} = "${value.slice(0, 20)}"`,
    xml: replaceLeaf(xml, leaf, `<${leaf.local}>${value}</${leaf.local}>`),
    tag: "invalid-value",
  }));
  const tail = leaf.path.split("/").slice(-2).join("/");
  // A leaf-list may repeat a value.
  if (tail !== "withdraw-offload/flow-id") {
    broken.push({
      name: `${leaf.path} twice`,
      xml: replaceLeaf(xml, leaf, original + original),
      tag: "bad-element",
    });
  }
  const optional =
    OPTIONAL_PARENTS.includes(leaf.parent) ||
    OPTIONAL_LEAVES.includes(leaf.local) ||
    OPTIONAL_LEAVES.includes(tail) ||
    // A second flow-id of a withdrawal is not needed.
    (tail === "withdraw-offload/flow-id" && xml.split("<flow-id>").length > 2);
  if (!optional) {
    broken.push({
      name: `${leaf.path} missing`,
      xml: replaceLeaf(xml, leaf, ""),
      tag: MISSING_TAGS[tail] ?? "missing-element",
    });
  }
  for (const local of NEVER_NAMED) {
    broken.push({
      name: `${local} beside ${leaf.path}`,
      xml: replaceLeaf(xml, leaf, `${original}<${local}>blue</${local}>`),
      tag: "unknown-element",
    });
  }
  return broken;
}

function breakStructure(xml: string): BrokenRequest[] {
  const broken: BrokenRequest[] = [];
  const cases: [name: string, pattern: RegExp, by: string, tag: string][] = [
    ["match missing", /<match>.*?<\/match>/, "", "missing-element"],
    ["egress missing", /<egress>.*?<\/egress>/, "", "missing-element"],
    ["original missing", /<original>.*?<\/original>/, "", "missing-element"],
    ["reply missing with both", /<reply>.*?<\/reply>/, "", "operation-failed"],
    [
      "reply with original-only",
      /<directions>both</,
      "<directions>original-only<",
      "operation-failed",
    ],
    ["no flow", /<flow>.*<\/flow>/, "", "operation-failed"],
    [
      "two cases of the choice",
      /<policy-tag>(\d+)<\/policy-tag><\/withdraw-offload>/,
      "<policy-tag>$1</policy-tag><all/></withdraw-offload>",
      "bad-element",
    ],
    ["an unknown operation", /(get-flows|renew-lease)/g, "reboot", "operation-not-supported"],
    ["no message-id", / message-id="[^"]*"/, "", "missing-attribute"],
    ["another namespace", /urn:flowlift:offload/, "urn:example:other", "operation-not-supported"],
    ["an end tag missing", /<\/rpc>$/, "", "malformed-message"],
  ];
  for (const [name, pattern, by, tag] of cases) {
    const changed = xml.replace(pattern, by);
    if (changed !== xml) broken.push({ name, xml: changed, tag });
  }
  return broken;
}

/** Every broken request, grouped under the operation it breaks. */
export function brokenRequests(): BrokenRequest[] {
  return completeRequests().flatMap((request, index) => {
    const xml = encodeRpc(`b${index}`, request);
    const broken = [
      ...findLeaves(xml).flatMap((leaf) => breakLeaf(xml, leaf)),
      ...breakStructure(xml),
    ];
    return broken.map((each) => ({ ...each, name: `${request.kind}: ${each.name}` }));
  });
}
