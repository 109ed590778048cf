import { expect, test } from "vitest";
import { DEPTH_MAX, NODES_MAX, parseYamlText, YAML_BYTES_MAX } from "../../src/lab/yaml-text.ts";

function parse(text: string) {
  const parsed = parseYamlText(text);
  if (!parsed.ok) throw new Error(`${parsed.error.line}: ${parsed.error.reason}`);
  return parsed.value;
}

function refuse(text: string) {
  const parsed = parseYamlText(text);
  if (parsed.ok) throw new Error("accepted");
  return parsed.error;
}

test("parseYamlText() gives the same values as the YAML", () => {
  const text = 'a: 1\nb: [x, "y", true, null]\nc:\n  d: fd00::1\n  e: 02:f1:00:00:00:01\n';
  expect(JSON.parse(parse(text).json)).toEqual({
    a: 1,
    b: ["x", "y", true, null],
    c: { d: "fd00::1", e: "02:f1:00:00:00:01" },
  });
});

test("every line of the JSON text knows its YAML line", () => {
  const yaml = parse("a: 1\n# a remark\nb:\n  - c: 2\n  - c: 3\n");
  const lines = yaml.json.split("\n");
  const lineOf = (part: string) =>
    yaml.lineOfJsonLine(lines.findIndex((line) => line.includes(part)) + 1);
  expect(lineOf('"a"')).toBe(1);
  expect(lineOf('"b"')).toBe(3);
  expect(lineOf('"c":2')).toBe(4);
  expect(lineOf('"c":3')).toBe(5);
});

test.each([
  ["/m:top", 1],
  ["/m:top/list[name='two']", 4],
  ["/m:top/list[name='two']/leaf", 5],
  ["/m:top/list[name='two']/absent", 4],
  ["/m:top/list[2]/leaf", 5],
  ["/m:top/words[.='b']", 6],
  ["/m:nothing", 1],
])("lineOfPath(%s) is %i", (path, line) => {
  const text =
    "m:top:\n  list:\n    - name: one\n    - name: two\n      leaf: 1\n  words: [a, b]\n";
  expect(parse(text).lineOfPath(path)).toBe(line);
});

test("aliases stand for what their anchor names", () => {
  expect(JSON.parse(parse("a: &x {k: [1]}\nb: *x\n").json)).toEqual({
    a: { k: [1] },
    b: { k: [1] },
  });
});

test.each([
  ["nothing", "", 1],
  ["a list at the top", "- a\n", 1],
  ["two documents", "a: 1\n---\nb: 1\n", 1],
  ["the same name twice", "a: 1\nb: 2\na: 3\n", 3],
  ["a bracket left open", "a: 1\nb: [1, 2\nc: 3\n", 3],
  ["an alias without an anchor", "a: 1\nb: *nobody\n", 2],
  ["a number as a name", "a: 1\n2: b\n", 2],
  ["a value without a JSON form", "a: 1\nb: .inf\n", 2],
])("parseYamlText() refuses %s with its line", (_what, text, line) => {
  expect(refuse(text).line).toBe(line);
});

test("aliases cannot make a small file large", () => {
  const levels = Array.from({ length: 9 }, (_, i) => {
    const below = i === 0 ? "x" : `*l${i - 1}`;
    return `l${i}: &l${i} [${Array.from({ length: 9 }, () => below).join(", ")}]\n`;
  });
  expect(refuse(levels.join("")).reason).toContain(`more than ${NODES_MAX} values`);
});

test.each([DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1])("nesting of %i is bounded", (depth) => {
  const text = `a: ${"[".repeat(depth)}${"]".repeat(depth)}\n`;
  expect(parseYamlText(text).ok).toBe(depth <= DEPTH_MAX);
});

test.each([YAML_BYTES_MAX - 1, YAML_BYTES_MAX, YAML_BYTES_MAX + 1])(
  "a file of %i bytes is bounded",
  (bytes) => {
    const text = `a: ${"x".repeat(bytes - 3)}`;
    expect(parseYamlText(text).ok).toBe(bytes <= YAML_BYTES_MAX);
  },
);
