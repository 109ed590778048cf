/**
 * Lists: one YANG construct for each row, with data that obeys it and data that does not.
 *
 * The body stands in `module t` (yang-version 1.1, prefix t); data is RFC 7951 JSON.
 */
import type { ConstructCase } from "./construct-case.ts";

export const LIST_CASES: readonly ConstructCase[] = [
  {
    name: "list key is needed",
    body: "list l { key k; leaf k { type string; } leaf v { type string; } }",
    good: [{ "t:l": [{ k: "a" }, { k: "b" }] }],
    bad: [{ "t:l": [{ v: "a" }] }],
  },
  {
    name: "list key is unique",
    body: "list l { key k; leaf k { type string; } }",
    good: [{ "t:l": [{ k: "a" }] }],
    bad: [{ "t:l": [{ k: "a" }, { k: "a" }] }],
  },
  {
    name: "two keys",
    body: 'list l { key "a b"; leaf a { type uint8; } leaf b { type uint8; } }',
    good: [
      {
        "t:l": [
          { a: 1, b: 1 },
          { a: 1, b: 2 },
        ],
      },
    ],
    bad: [
      {
        "t:l": [
          { a: 1, b: 1 },
          { a: 1, b: 1 },
        ],
      },
    ],
  },
  {
    name: "unique",
    body: "list l { key k; unique v; leaf k { type string; } leaf v { type string; } }",
    good: [{ "t:l": [{ k: "a", v: "1" }, { k: "b", v: "2" }, { k: "c" }, { k: "d" }] }],
    bad: [
      {
        "t:l": [
          { k: "a", v: "1" },
          { k: "b", v: "1" },
        ],
      },
    ],
  },
  {
    name: "min-elements",
    body: "container c { list l { key k; min-elements 2; leaf k { type uint8; } } }",
    good: [{ "t:c": { l: [{ k: 1 }, { k: 2 }] } }],
    bad: [{ "t:c": { l: [{ k: 1 }] } }, {}],
  },
  {
    name: "max-elements",
    body: "leaf-list l { type uint8; max-elements 2; }",
    good: [{ "t:l": [1, 2] }],
    bad: [{ "t:l": [1, 2, 3] }],
  },
  {
    name: "leaf-list values are unique",
    body: "leaf-list l { type uint8; }",
    good: [{ "t:l": [1, 2] }],
    bad: [{ "t:l": [1, 1] }],
  },
  {
    name: "nested lists",
    body: "list a { key k; leaf k { type uint8; } list b { key k; leaf k { type uint8; } } }",
    good: [{ "t:a": [{ k: 1, b: [{ k: 1 }] }] }],
    bad: [{ "t:a": [{ k: 1, b: [{ k: 300 }] }] }],
  },
];
