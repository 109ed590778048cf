/** Lines as words, and data as lines, without a server. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { MODULES_MAX, ShellConnection } from "../../src/shell/connection.ts";
import { renderDifference } from "../../src/shell/render.ts";
import { LINE_BYTES_MAX, quoteWord, splitLine } from "../../src/shell/words.ts";
import { campaignSize } from "../support/campaign.ts";

const wordsOf = (line: string): readonly string[] | string => {
  const result = splitLine(line);
  return result.ok ? result.value.words : result.error;
};

test.each([
  ["set a b", ["set", "a", "b"]],
  ['set a "b c" d', ["set", "a", "b c", "d"]],
  ["set a 'b \"c'", ["set", "a", 'b "c']],
  ["set a b\\ c", ["set", "a", "b c"]],
  ['set a "say \\"hi\\""', ["set", "a", 'say "hi"']],
  ['set a ""', ["set", "a", ""]],
  ["set a # a comment", ["set", "a"]],
  ["set a b#c", ["set", "a", "b#c"]],
  ["", []],
])("%j is %j", (line, words) => {
  expect(wordsOf(line)).toEqual(words);
});

test("what stands behind a bar is the form", () => {
  const result = splitLine("show a | display json");
  expect(result.ok && result.value).toMatchObject({
    words: ["show", "a"],
    pipe: ["display", "json"],
  });
  expect(wordsOf("a | b | c")).toContain("Only one");
  expect(wordsOf('set "a | b"')).toEqual(["set", "a | b"]);
});

test("an open quote is told", () => {
  expect(wordsOf('set "a')).toContain("A quote is not closed");
  expect(wordsOf("set 'a")).toContain("A quote is not closed");
});

test.each([
  [LINE_BYTES_MAX - 1, true],
  [LINE_BYTES_MAX, true],
  [LINE_BYTES_MAX + 1, false],
])("a line of %i bytes: %s", (bytes, isRead) => {
  expect(splitLine("a".repeat(bytes)).ok).toBe(isRead);
});

test("any words, quoted, are the same words again", () => {
  const word = fc.string({ unit: "grapheme" }).filter((text) => !/[\n\r\u2028\u2029]/.test(text));
  fc.assert(
    fc.property(fc.array(word), (words) => {
      expect(wordsOf(words.map(quoteWord).join(" "))).toEqual(words);
    }),
    { numRuns: campaignSize(300, 50_000) },
  );
});

test("a difference names what goes and what comes", () => {
  const before = ["set a 1", "set b 2"];
  const after = ["set b 2", "set c 3"];
  expect(renderDifference(before, after)).toEqual(["- a 1", "+ c 3"]);
  expect(renderDifference(after, after)).toEqual([]);
});

test.each([[0], [MODULES_MAX + 1]])("a server that lists %i modules is refused", async (count) => {
  const module = "<module><name>ietf-netconf</name><revision>2011-06-01</revision></module>";
  const library =
    '<yang-library xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-library"><module-set>' +
    `${module.repeat(count)}</module-set></yang-library>`;
  const call = async (): Promise<string> =>
    `<rpc-reply xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><data>${library}</data></rpc-reply>`;
  const opened = ShellConnection.open({ call }, []);
  await expect(opened).rejects.toThrow(`The server lists ${count} YANG modules`);
});

test("a server's module with a path for a name is refused", async () => {
  const call = async (): Promise<string> =>
    '<rpc-reply xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><data><yang-library ' +
    'xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-library"><module-set><module>' +
    "<name>../../etc/passwd</name></module></module-set></yang-library></data></rpc-reply>";
  await expect(ShellConnection.open({ call }, [])).rejects.toThrow("../../etc/passwd");
});
