/** Breaks messages in the ways in which peers break them. Pure: (message, random) => bytes. */
import type { Random } from "./random.ts";

const TOKENS: readonly string[] = [
  "<",
  ">",
  "/",
  "&",
  "&amp;",
  "&#0;",
  "&#x110000;",
  "]]>]]>",
  "\n##\n",
  "\n#1\n",
  "<![CDATA[",
  "]]>",
  "<!DOCTYPE x>",
  "<?pi?>",
  "<!--",
  "-->",
  'xmlns="',
  'nc:operation="delete"',
  'nc:operation="replace"',
  'nc:operation="create"',
  'nc:operation="remove"',
  'nc:operation="none"',
  "<running/>",
  "<candidate/>",
  "<startup/>",
  "<config>",
  "</config>",
  "<filter",
  'type="xpath"',
  'select="/*"',
  "<interfaces",
  "<name>",
  "\0",
  "\uFFFF",
  "\u{1F600}",
  "4294967296",
  "-1",
  "18446744073709551616",
  "[",
  "]",
  "'",
  "::",
  "../",
  "//",
  "count(",
  'yang:insert="before"',
  "yang:key=\"[name='x']\"",
  "<confirmed/>",
  "<persist>",
  "<target/>",
];

/** Large ones are rare: they cost as much as hundreds of others. */
const LARGE_TOKENS: readonly string[] = [" ".repeat(4_096), "<a>".repeat(300), "x".repeat(70_000)];
const LARGE_ONE_IN = 200;

function pickToken(random: Random): string {
  return random.pick(random.below(LARGE_ONE_IN) === 0 ? LARGE_TOKENS : TOKENS);
}

/** Returns a broken form of one of the messages. */
export function mutate(messages: readonly string[], random: Random): Buffer {
  let text = random.pick(messages);
  const changes = 1 + random.below(4);
  for (let change = 0; change < changes; change++) text = mutateOnce(text, messages, random);
  const bytes = Buffer.from(text);
  if (random.below(8) === 0 && bytes.length > 0)
    bytes[random.below(bytes.length)] = random.below(256);
  return bytes;
}

function mutateOnce(text: string, messages: readonly string[], random: Random): string {
  const at = random.below(text.length + 1);
  const length = random.below(Math.min(64, text.length - at) + 1);
  switch (random.below(7)) {
    case 0:
      return text.slice(0, at) + text.slice(at + length);
    case 1:
      return text.slice(0, at) + pickToken(random) + text.slice(at);
    case 2:
      return text.slice(0, at) + pickToken(random) + text.slice(at + length);
    case 3:
      return text.slice(0, at) + text.slice(at, at + length).repeat(2) + text.slice(at + length);
    case 4: {
      const other = random.pick(messages);
      return text.slice(0, at) + other.slice(random.below(other.length + 1));
    }
    case 5:
      return replaceElement(text, messages, random);
    default:
      return text.slice(0, at);
  }
}

/** Puts an element of another message in the place of one of this: still well-formed, often nonsense. */
function replaceElement(text: string, messages: readonly string[], random: Random): string {
  const own = text.match(/<[\w:-]+[^<>]*\/>|<([\w:-]+)[^<>]*>[^<>]*<\/\1>/g) ?? [];
  const other =
    random.pick(messages).match(/<[\w:-]+[^<>]*\/>|<([\w:-]+)[^<>]*>[^<>]*<\/\1>/g) ?? [];
  if (own.length === 0 || other.length === 0) return text;
  return text.replace(random.pick(own), () => random.pick(other));
}
