import { describe, expect, test } from "vitest";
import { parseXml } from "../../src/lib/xml/tree.ts";
import { formatRoot } from "../../src/management/data-xml.ts";
import { applySubtreeFilter } from "../../src/management/subtree-filter.ts";
import { NS, treeOf } from "./hand-schema.ts";

const TREE = treeOf(
  "<note>n</note><box><size>9</size></box>" +
    "<item><k>1</k><a>x</a><box><size>1</size></box></item>" +
    "<item><k>2</k><a>y</a></item>" +
    "<item><k>3</k><a>x</a></item>" +
    "<tag>red</tag><tag>blue</tag>",
);

function select(filter: string): string {
  const parsed = parseXml(`<filter type="subtree">${filter}</filter>`);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return formatRoot(applySubtreeFilter(TREE, parsed.value)).replace(` xmlns="${NS}"`, "");
}

const top = (inner: string): string => `<top xmlns="${NS}">${inner}</top>`;

describe("applySubtreeFilter()", () => {
  test.each([
    ["selects a whole subtree (§6.2.4)", top(""), formatRoot(TREE).replace(` xmlns="${NS}"`, "")],
    ["selects nothing when it is empty (§6.4.2)", "", ""],
    ["selects nothing of another namespace (§6.2.1)", '<top xmlns="urn:other"/>', ""],
    [
      "takes any namespace when it names none (§6.2.1)",
      "<top><note/></top>",
      "<top><note>n</note></top>",
    ],
    ["selects nothing by an attribute that data lacks (§6.2.2)", top('<note lang="en"/>'), ""],
    [
      "selects one child by containment (§6.2.3)",
      top("<box><size/></box>"),
      "<top><box><size>9</size></box></top>",
    ],
    [
      "selects siblings together",
      top("<note/><box/>"),
      "<top><note>n</note><box><size>9</size></box></top>",
    ],
    [
      "selects an entry by content (§6.2.5)",
      top("<item><k>2</k></item>"),
      "<top><item><k>2</k><a>y</a></item></top>",
    ],
    [
      "selects every entry that matches",
      top("<item><a>x</a></item>"),
      "<top><item><k>1</k><a>x</a><box><size>1</size></box></item><item><k>3</k><a>x</a></item></top>",
    ],
    ["wants every content to match", top("<item><k>2</k><a>x</a></item>"), ""],
    [
      "adds what is selected beside the content, and keys",
      top("<item><a>x</a><box/></item>"),
      "<top><item><k>1</k><a>x</a><box><size>1</size></box></item><item><k>3</k><a>x</a></item></top>",
    ],
    [
      "adds keys to a selection",
      top("<item><a/></item>"),
      "<top><item><k>1</k><a>x</a></item><item><k>2</k><a>y</a></item><item><k>3</k><a>x</a></item></top>",
    ],
    [
      "unites filters for the same list",
      top("<item><k>1</k><a/></item><item><k>2</k></item>"),
      "<top><item><k>1</k><a>x</a></item><item><k>2</k><a>y</a></item></top>",
    ],
    [
      "trims the content",
      top("<item><k> 2 </k></item>"),
      "<top><item><k>2</k><a>y</a></item></top>",
    ],
    [
      "selects a leaf-list's entry by content, beside a selection",
      top("<tag>blue</tag><note/>"),
      "<top><note>n</note><tag>blue</tag></top>",
    ],
    ["leaves out a container whose content selects nothing", top("<mark><why/></mark>"), ""],
  ])("%s", (_name, filter, expected) => {
    expect(select(filter)).toBe(expected);
  });
});
