/**
 * Characters and references of XML text.
 *
 * Pure. Source: XML 1.0 §2.2 (characters), §4.1 (references), §4.6 (predefined entities).
 */

const NAMED: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  amp: "&",
  quot: '"',
  apos: "'",
};

/** Space, tab, LF, CR. */
export function isXmlSpace(code: number): boolean {
  return code === 32 || code === 10 || code === 9 || code === 13;
}

/** Whether XML 1.0 allows the code point. */
function isXmlCharacter(code: number): boolean {
  if (code < 0x20) return code === 9 || code === 10 || code === 13;
  return (
    code <= 0xd7ff || (code >= 0xe000 && code <= 0xfffd) || (code >= 0x1_0000 && code <= 0x10_ffff)
  );
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

/** Returns the text with its references resolved, or undefined when XML forbids something in it. */
export function unescapeXml(raw: string): string | undefined {
  if (FORBIDDEN.test(raw)) return undefined;
  if (!raw.includes("&")) return raw;
  let wrong = false;
  const text = raw.replace(/&([^;&]{0,16});?/g, (whole, name: string) => {
    const resolved = whole.endsWith(";") ? resolve(name) : undefined;
    if (resolved === undefined) wrong = true;
    return resolved ?? "";
  });
  return wrong ? undefined : text;
}

function resolve(name: string): string | undefined {
  if (!name.startsWith("#")) return Object.hasOwn(NAMED, name) ? NAMED[name] : undefined;
  const hex = /^#x([0-9a-fA-F]{1,6})$/.exec(name)?.[1];
  const decimal = /^#(\d{1,7})$/.exec(name)?.[1];
  if (hex === undefined && decimal === undefined) return undefined;
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
  return isXmlCharacter(code) ? String.fromCodePoint(code) : undefined;
}

export const CDATA = "<![CDATA[";

/** A comment, an instruction or a CDATA section. */
export interface XmlMarkup {
  readonly end: number;
  readonly isCdata: boolean;
  /** It stands for no character but spaces. */
  readonly isBlank: boolean;
}

/** Returns the `<!…>` or `<?…>` at `at`; undefined for a document type, and for one without end. */
export function readMarkup(text: string, at: number): XmlMarkup | undefined {
  const isCdata = text.startsWith(CDATA, at);
  const isComment = text.startsWith("<!--", at);
  if (!isCdata && !isComment && !text.startsWith("<?", at)) return undefined;
  const close = isCdata ? "]]>" : isComment ? "-->" : "?>";
  const from = at + (isCdata ? CDATA.length : isComment ? 4 : 2);
  const found = text.indexOf(close, from);
  if (found < 0) return undefined;
  const isBlank = !isCdata || /^[ \t\r\n]*$/.test(text.slice(from, found));
  return { end: found + close.length, isCdata, isBlank };
}
