/**
 * The codec against libyang, on messages that were changed at random.
 *
 * The controller trusts the codec alone for what it accepts, so it has to accept what libyang accepts,
 * nothing else, and to read the same values.
 */
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { YangContext } from "../../src/lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../../src/lib/yang/yang-directories.ts";
import { decodeRpc, encodeRpc } from "../../src/offload-protocol/codec-xml.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import * as arbitrary from "./arbitraries.ts";

const yang = YangContext.create({
  searchDirectories: defaultYangDirectories(findProjectRoot()),
  modules: [{ name: "flowlift-offload" }],
});
afterAll(() => yang.destroy());

/** Values at the edge of some type: of each it may be right or wrong, depending on the leaf. */
const EDGE_VALUES = [
  "",
  " ",
  "0",
  "-0",
  "+5",
  "005",
  " 7 ",
  "\n7\n",
  "7 7",
  "0x10",
  "1e3",
  "1.0",
  "255",
  "256",
  "575",
  "576",
  "1024",
  "1025",
  "65535",
  "65536",
  "4294967295",
  "4294967296",
  "18446744073709551615",
  "18446744073709551616",
  "99999999999999999999999",
  "true",
  "both",
  " both",
  "Both",
  "original-only",
  "unspecified",
  "nat",
  "ingress",
  "0123456789abcdef",
  "0123456789ABCDEF",
  "10.0.0.1",
  "10.0.0.01",
  "010.0.0.1",
  " 10.0.0.1",
  "10.0.0.1%eth0",
  "10.0.0",
  "::",
  "::1",
  "2001:DB8::1",
  "2001:db8:0:0::1",
  "::ffff:1.2.3.4",
  "1::2::3",
  "1:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7::",
  "fe80::1%1",
  "02:00:00:00:00:0A",
  "02:00:00:00:00:0a ",
  "2:0:0:0:0:a",
  "&lt;",
  "&amp;",
  "a&#98;c",
  "<![CDATA[7]]>",
  "x<!-- y -->",
  "\u00e4",
  "\ud83d\ude00".repeat(64),
  "\ud83d\ude00".repeat(65),
  "x".repeat(64),
  "x".repeat(65),
];

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(1_500, 50_000);
const MAC = /"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"/g;

type Change = (xml: string) => string;

/** Elements without children, as `[whole, name, text]`, from a place that the seed picks. */
function pickLeaf(xml: string, seed: number): RegExpMatchArray | undefined {
  const leaves = Array.from(xml.matchAll(/<([\w-]+)>([^<]*)<\/\1>/g));
  return leaves[seed % Math.max(1, leaves.length)];
}

/** Another spelling, of the same value if the leaf's type allows it. */
function respell(text: string, seed: number): string {
  const spellings = [
    text.toUpperCase(),
    ` ${text}`,
    `${text}\n`,
    `+${text}`,
    `00${text}`,
    `&#x${(text.codePointAt(0) ?? 120).toString(16)};${Array.from(text).slice(1).join("")}`,
    `<![CDATA[${text.replaceAll("&", "")}]]>`,
    `${text}<!-- -->`,
    text.replace("::", ":0:0::"),
    text.replace(/^0+/, ""),
  ];
  return spellings[seed % spellings.length] ?? text;
}

function splice(xml: string, match: RegExpMatchArray, text: string): string {
  const at = match.index ?? 0;
  return xml.slice(0, at) + text + xml.slice(at + match[0].length);
}

const change: fc.Arbitrary<Change> = fc
  .tuple(fc.nat(), fc.nat(), fc.constantFrom(...EDGE_VALUES), fc.nat(9))
  .map(([seed, second, value, kind]) => (xml: string): string => {
    const leaf = pickLeaf(xml, seed);
    if (leaf === undefined) return xml;
    const [whole, name, text = ""] = leaf;
    const other = pickLeaf(xml, second);
    switch (kind) {
      case 0:
        return splice(xml, leaf, "");
      case 1:
        return splice(xml, leaf, whole + whole);
      case 2:
        return other === undefined ? xml : splice(xml, leaf, whole + other[0]);
      case 3:
        return other === undefined ? xml : splice(xml, leaf, other[0]);
      case 5:
      case 6:
        return splice(xml, leaf, `<${name}>${respell(text, second)}</${name}>`);
      case 4:
        return splice(xml, leaf, `<${name}/>`);
      default:
        return splice(xml, leaf, `<${name}>${value}</${name}>`);
    }
  });

const changed = fc
  .tuple(arbitrary.request, fc.array(change, { minLength: 1, maxLength: 3 }))
  .map(([request, changes]) => changes.reduce((xml, each) => each(xml), encodeRpc("1", request)));

/**
 * What libyang reads, as canonical JSON with defaults; undefined when it refuses. Two things are made
 * alike: ids that a withdrawal repeats, and MAC addresses, whose canonical form (RFC 6991) it leaves to us.
 */
function readByYang(xml: string): string | undefined {
  const parsed = yang.parseNetconfRpc(xml);
  if (!parsed.ok) return undefined;
  const json = parsed.value.print("json", { withDefaults: "report-all" });
  parsed.value.free();
  const once = (_: string, value: unknown): unknown =>
    Array.isArray(value) && typeof value[0] === "string" ? Array.from(new Set(value)) : value;
  return JSON.stringify(JSON.parse(json, once)).replace(MAC, (mac) => mac.toLowerCase());
}

test(
  `the codec accepts exactly what libyang accepts, and reads the same (${RUNS} cases)`,
  campaignOptions(),
  () => {
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(changed, (xml) => {
        const ours = decodeRpc(Buffer.from(xml));
        const theirs = readByYang(xml);
        const reason = ours.ok ? "" : ours.error.error.message;
        expect({ xml, reason, ok: ours.ok }).toEqual({ xml, reason, ok: theirs !== undefined });
        if (!ours.ok) {
          refused++;
          return;
        }
        accepted++;
        const again = encodeRpc(ours.value.messageId, ours.value.request);
        expect({ xml, read: readByYang(again) }).toEqual({ xml, read: theirs });
      }),
      { numRuns: RUNS },
    );
    expect(Math.min(accepted, refused)).toBeGreaterThan(RUNS / 10);
  },
);
