/**
 * Types: one YANG construct for each row, with data that obeys it and data that does not.
 *
 * The body stands in `module t` (yang-version 1.1, prefix t); data is RFC 7951 JSON.
 */
import { type ConstructCase, c, leaf } from "./construct-case.ts";

export const TYPE_CASES: readonly ConstructCase[] = [
  { name: "int8 bounds", body: leaf("int8;"), good: [c(-128), c(127)], bad: [c(-129), c(128)] },
  { name: "uint8 bounds", body: leaf("uint8;"), good: [c(0), c(255)], bad: [c(-1), c(256)] },
  { name: "uint32 bounds", body: leaf("uint32;"), good: [c(4294967295)], bad: [c(4294967296)] },
  {
    name: "uint64 keeps every digit",
    body: leaf("uint64;"),
    good: [c("18446744073709551615")],
    bad: [c("18446744073709551616")],
  },
  {
    name: "int64 bounds",
    body: leaf("int64;"),
    good: [c("-9223372036854775808")],
    bad: [c("9223372036854775808")],
  },
  {
    name: "decimal64 digits",
    body: leaf("decimal64 { fraction-digits 2; }"),
    good: [c("3.14")],
    bad: [c("3.141")],
  },
  { name: "boolean", body: leaf("boolean;"), good: [c(true), c(false)], bad: [c("yes")] },
  { name: "empty", body: leaf("empty;"), good: [c([null])], bad: [c("")] },
  {
    name: "enumeration by name",
    body: leaf("enumeration { enum a; enum b; }"),
    good: [c("a")],
    bad: [c("x")],
  },
  {
    name: "enumeration not by number",
    body: leaf("enumeration { enum a { value 7; } }"),
    good: [c("a")],
    bad: [c("7")],
  },
  {
    name: "bits",
    body: leaf("bits { bit x; bit y; }"),
    good: [c("x y"), c("")],
    bad: [c("z")],
  },
  {
    name: "bits not twice",
    body: leaf("bits { bit x; bit y; }"),
    good: [c("y")],
    bad: [c("x x")],
  },
  {
    name: "binary length",
    body: leaf('binary { length "2"; }'),
    good: [c("AAE=")],
    bad: [c("AA=="), c("?")],
  },
  { name: "range", body: leaf('uint8 { range "1..9"; }'), good: [c(1), c(9)], bad: [c(0), c(10)] },
  { name: "range of one value", body: leaf('uint8 { range "20"; }'), good: [c(20)], bad: [c(21)] },
  {
    name: "range with a gap",
    body: leaf('uint8 { range "1..2 | 8..9"; }'),
    good: [c(8)],
    bad: [c(5)],
  },
  {
    name: "range narrowed by a derived type",
    body: `typedef d { type uint8 { range "1..100"; } } ${leaf('d { range "10..20"; }')}`,
    good: [c(15)],
    bad: [c(5), c(50)],
  },
  {
    name: "typedef's range",
    body: `typedef d { type uint8 { range "1..9"; } } ${leaf("d;")}`,
    good: [c(9)],
    bad: [c(10)],
  },
  {
    name: "string length",
    body: leaf('string { length "2..3"; }'),
    good: [c("ab")],
    bad: [c("a"), c("abcd")],
  },
  {
    name: "pattern is anchored",
    body: leaf("string { pattern '[a-z]+'; }"),
    good: [c("ab")],
    bad: [c("ab1")],
  },
  {
    name: "two patterns",
    body: leaf("string { pattern 'a.*'; pattern '.*z'; }"),
    good: [c("abz")],
    bad: [c("ab"), c("bz")],
  },
  {
    name: "inverted pattern",
    body: leaf("string { pattern 'x.*' { modifier invert-match; } }"),
    good: [c("ab")],
    bad: [c("xb")],
  },
  {
    name: "union",
    body: leaf("union { type uint8; type enumeration { enum any; } }"),
    good: [c(7), c("any")],
    bad: [c("all"), c(300)],
  },
  {
    name: "identityref",
    body: `identity base; identity one { base base; } identity other; ${leaf(
      "identityref { base base; }",
    )}`,
    good: [c("t:one"), c("one")],
    bad: [c("t:other"), c("t:base")],
  },
  {
    name: "instance-identifier",
    body: `container d { leaf x { type string; } } ${leaf("instance-identifier;")}`,
    good: [{ "t:d": { x: "1" }, "t:c": { v: "/t:d/x" } }],
    bad: [c("/t:d/x"), c("/t:nothing")],
  },
];
