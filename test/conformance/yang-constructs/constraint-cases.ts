/**
 * Constraints and structure: one YANG construct for each row, with data that obeys it and data that does not.
 *
 * The body stands in `module t` (yang-version 1.1, prefix t); data is RFC 7951 JSON.
 */
import { type ConstructCase, c, leaf } from "./construct-case.ts";

export const CONSTRAINT_CASES: readonly ConstructCase[] = [
  {
    name: "mandatory leaf",
    body: "container c { presence p; leaf v { type string; mandatory true; } }",
    good: [{}, c("x")],
    bad: [{ "t:c": {} }],
  },
  {
    name: "mandatory leaf without data around it",
    body: "container c { leaf v { type string; mandatory true; } }",
    good: [c("x")],
    bad: [{}],
  },
  {
    name: "mandatory choice",
    body: "container c { presence p; choice h { mandatory true; leaf a { type empty; } leaf b { type empty; } } }",
    good: [{ "t:c": { a: [null] } }],
    bad: [{ "t:c": {} }],
  },
  {
    name: "one case of a choice",
    body: "container c { choice h { leaf a { type string; } leaf b { type string; } } }",
    good: [{ "t:c": { a: "1" } }],
    bad: [{ "t:c": { a: "1", b: "1" } }],
  },
  {
    name: "cases of several nodes",
    body: "container c { choice h { case x { leaf a { type string; } leaf b { type string; } } case y { leaf d { type string; } } } }",
    good: [{ "t:c": { a: "1", b: "1" } }],
    bad: [{ "t:c": { a: "1", d: "1" } }],
  },
  {
    name: "must on a leaf",
    body: "container c { leaf lo { type uint8; } leaf v { type uint8; must '. >= ../lo'; } }",
    good: [{ "t:c": { lo: 1, v: 2 } }],
    bad: [{ "t:c": { lo: 2, v: 1 } }],
  },
  {
    name: "must counts a list",
    body: "container c { must 'count(l) <= 1'; list l { key k; leaf k { type uint8; } } }",
    good: [{ "t:c": { l: [{ k: 1 }] } }],
    bad: [{ "t:c": { l: [{ k: 1 }, { k: 2 }] } }],
  },
  {
    name: "must with current()",
    body: "list l { key k; leaf k { type string; } leaf v { type string; must '/t:l[t:k = current()]'; } }",
    good: [{ "t:l": [{ k: "a", v: "a" }] }],
    bad: [{ "t:l": [{ k: "a", v: "b" }] }],
  },
  {
    name: "must with derived-from()",
    body: `identity base; identity one { base base; } identity two { base base; }
      container c { must "derived-from-or-self(v, 't:one')"; leaf v { type identityref { base base; } } }`,
    good: [c("t:one")],
    bad: [c("t:two")],
  },
  {
    name: "when on a leaf",
    body: "container c { leaf on { type boolean; } leaf v { when \"../on = 'true'\"; type string; } }",
    good: [{ "t:c": { on: true, v: "x" } }, { "t:c": { on: false } }],
    bad: [{ "t:c": { on: false, v: "x" } }],
  },
  {
    name: "when on an augment",
    body: `container c { leaf on { type boolean; } }
      augment "/c" { when "on = 'true'"; leaf v { type string; } }`,
    good: [{ "t:c": { on: true, v: "x" } }],
    bad: [{ "t:c": { on: false, v: "x" } }],
  },
  {
    name: "leafref",
    body: "list l { key k; leaf k { type string; } } leaf r { type leafref { path '/l/k'; } }",
    good: [{ "t:l": [{ k: "a" }], "t:r": "a" }],
    bad: [{ "t:l": [{ k: "a" }], "t:r": "b" }],
  },
  {
    name: "leafref with a predicate",
    body: `list l { key k; leaf k { type string; } leaf-list v { type string; } }
      container c { leaf k { type leafref { path '/l/k'; } }
        leaf v { type leafref { path '/l[k = current()/../k]/v'; } } }`,
    good: [{ "t:l": [{ k: "a", v: ["1"] }], "t:c": { k: "a", v: "1" } }],
    bad: [{ "t:l": [{ k: "a", v: ["1"] }, { k: "b" }], "t:c": { k: "b", v: "1" } }],
  },
  {
    name: "leafref without instance",
    body: "leaf a { type uint8; } leaf r { type leafref { path '/a'; require-instance false; } }",
    good: [{ "t:r": 7 }],
    bad: [{ "t:r": "x" }],
  },
];

export const STRUCTURE_CASES: readonly ConstructCase[] = [
  {
    name: "unknown node",
    body: leaf("string;"),
    good: [c("x")],
    bad: [{ "t:c": { w: "x" } }, { "t:d": {} }],
  },
  {
    name: "state in configuration",
    body: "container c { leaf v { type string; } leaf s { config false; type string; } }",
    good: [c("x")],
    bad: [{ "t:c": { s: "x" } }],
  },
  {
    name: "feature that is off",
    body: "feature f; container c { leaf v { type string; } leaf w { if-feature f; type string; } }",
    good: [c("x")],
    bad: [{ "t:c": { w: "x" } }],
  },
  {
    name: "feature below an identity",
    body: `feature f; identity base; identity one { base base; } identity two { base base; if-feature f; }
      ${leaf("identityref { base base; }")}`,
    good: [c("t:one")],
    bad: [c("t:two")],
  },
  {
    name: "grouping with refine",
    body: `grouping g { leaf v { type string; } }
      container c { presence p; uses g { refine v { mandatory true; } } }`,
    good: [c("x")],
    bad: [{ "t:c": {} }],
  },
  {
    name: "uses with augment",
    body: `grouping g { container d { leaf a { type uint8; } } }
      uses g { augment d { leaf b { type uint8; } } }`,
    good: [{ "t:d": { a: 1, b: 2 } }],
    bad: [{ "t:d": { b: 300 } }],
  },
  {
    name: "augment of the own module",
    body: 'container c { leaf v { type string; } } augment "/c" { leaf w { type uint8; } }',
    good: [{ "t:c": { w: 1 } }],
    bad: [{ "t:c": { w: 300 } }],
  },
  {
    name: "presence container is empty",
    body: "container c { presence p; }",
    good: [{ "t:c": {} }],
    bad: [{ "t:c": 7 }],
  },
  {
    name: "anydata takes anything below it",
    body: "anydata a; leaf v { type uint8; }",
    good: [{ "t:a": { x: { y: [1] } } }],
    bad: [{ "t:a": {}, "t:v": 300 }],
  },
  {
    name: "a leaf is no container",
    body: leaf("string;"),
    good: [c("x")],
    bad: [c({ a: 1 }), { "t:c": "x" }],
  },
];
