/**
 * A pull reader over one XML message, for decoders that know what may come next.
 *
 * Pure. Source: XML 1.0 without DTD (RFC 6241 §3), Namespaces in XML 1.0.
 * Invariant: the first failure stays; afterwards there are no children and every text is empty, so a
 * decoder runs to its end and looks at `failure` once.
 * Limit: ATTRIBUTES_MAX for each element; depth is bounded by the decoders, which ask for children.
 */
import type { RpcError } from "../lib/netconf/rpc-error.ts";
import { elementError, malformedMessage, protocolError } from "../lib/netconf/rpc-error.ts";
import { formatPath } from "./xml-path.ts";
import { NamespaceScope } from "./xml-scope.ts";
import { CDATA, isXmlSpace, readMarkup, unescapeXml } from "./xml-text.ts";

export const ATTRIBUTES_MAX = 32;

const LT = 60;
const GT = 62;
const SLASH = 47;
const BANG = 33;
const QUESTION = 63;
const COLON = 58;

/** Reads start tags, texts and end tags of one document, in order. */
export class XmlReader {
  /** The whole document. */
  readonly text: string;
  readonly #module: string;
  #at = 0;
  #depth = 0;
  /** The element that is open has no content: `<x/>`. */
  #selfClosed = false;
  #failure: RpcError | undefined;
  /** By depth: names as written, local names, list keys for paths. */
  readonly #names: string[] = [];
  readonly #locals: string[] = [];
  readonly #keys: string[] = [];
  readonly #scope = new NamespaceScope();
  #attributes: [name: string, value: string][] = [];
  #namespace = "";

  /** `module` names the YANG module in the paths of failures. */
  constructor(text: string, module: string) {
    this.text = text;
    this.#module = module;
  }

  get failure(): RpcError | undefined {
    return this.#failure;
  }

  /** Namespace of the element opened last. */
  get namespace(): string {
    return this.#namespace;
  }

  /** Attributes of the element opened last, without namespace declarations. */
  get attributes(): readonly (readonly [name: string, value: string])[] {
    return this.#attributes;
  }

  /**
   * Opens the next child of the open element and returns its local name; or closes the open element
   * and returns undefined when it has no more. At first the open element is the document.
   */
  nextChild(): string | undefined {
    if (this.#failure !== undefined) return undefined;
    if (this.#selfClosed) return this.#leave();
    for (;;) {
      this.#skipSpace();
      if (this.#at >= this.text.length) return this.#atEnd();
      if (this.text.charCodeAt(this.#at) !== LT) {
        this.#failText();
        return undefined;
      }
      const next = this.text.charCodeAt(this.#at + 1);
      if (next === SLASH) return this.#closeTag();
      if (next !== BANG && next !== QUESTION) return this.#openTag();
      if (!this.#skipMarkup()) return undefined;
    }
  }

  /** Where the open element's content goes on, if names without prefix mean `namespace` there. */
  positionIn(namespace: string): number | undefined {
    if (this.#failure !== undefined || this.#selfClosed) return undefined;
    return this.#scope.defaultAt(this.#depth) === namespace ? this.#at : undefined;
  }

  /** The caller has read whole children by itself. */
  skipTo(position: number): void {
    this.#at = position;
  }

  /** Reads the text of the open element and closes it. Elements inside are a failure. */
  leafText(): string {
    if (this.#failure !== undefined) return "";
    if (this.#selfClosed) {
      this.#leave();
      return "";
    }
    const end = this.text.indexOf("<", this.#at);
    if (end >= 0 && this.text.charCodeAt(end + 1) === SLASH) {
      const raw = this.text.slice(this.#at, end);
      this.#at = end;
      const text = this.#unescape(raw);
      this.#closeTag();
      return this.#failure === undefined ? text : "";
    }
    return this.#mixedText();
  }

  /** Text with comments or CDATA in it: rare. */
  #mixedText(): string {
    let text = "";
    for (;;) {
      const end = this.text.indexOf("<", this.#at);
      if (end < 0) {
        this.malformed("it ends inside an element");
        return "";
      }
      text += this.#unescape(this.text.slice(this.#at, end));
      this.#at = end;
      const next = this.text.charCodeAt(end + 1);
      if (next === SLASH) {
        this.#closeTag();
        return this.#failure === undefined ? text : "";
      }
      if (next !== BANG && next !== QUESTION) {
        this.fail(
          elementError("bad-element", this.#locals[this.#depth] ?? "", "An element inside a leaf"),
        );
        return "";
      }
      if (this.text.startsWith(CDATA, end)) {
        const close = this.text.indexOf("]]>", end);
        if (close < 0) this.malformed("a CDATA section does not end");
        text += this.text.slice(end + CDATA.length, close);
        this.#at = close + 3;
      } else this.#skipMarkup();
      if (this.#failure !== undefined) return "";
    }
  }

  /** Names the open list entry in the paths of failures. */
  setKey(predicate: string): void {
    this.#keys[this.#depth] = predicate;
  }

  /** Keeps the first failure; its path is the open element's unless it has one. */
  fail(error: RpcError): void {
    if (this.#failure !== undefined) return;
    const path = error.path ?? formatPath(this.#module, this.#locals, this.#keys, this.#depth);
    this.#failure = path === undefined ? error : { ...error, path };
  }

  /** Keeps a failure of the element closed last. */
  failClosed(error: RpcError): void {
    const path = formatPath(this.#module, this.#locals, this.#keys, this.#depth + 1);
    this.fail(path === undefined ? error : { ...error, path });
  }

  /** The value of the leaf closed last is wrong. */
  failValue(message: string): void {
    this.failClosed(protocolError("invalid-value", message, { type: "application" }));
  }

  /** Says so when the open element has been read before (`previous` is defined). */
  once(previous: unknown): void {
    if (previous === undefined) return;
    const local = this.#locals[this.#depth] ?? "";
    this.fail(elementError("bad-element", local, `"${local}" comes more often than once`));
  }

  malformed(why: string): void {
    this.#failure ??= malformedMessage(`The message is not well-formed XML: ${why}`);
  }

  #failText(): void {
    if (this.#depth === 0) this.malformed("text outside the root element");
    this.fail(
      elementError("bad-element", this.#locals[this.#depth] ?? "", "Text where elements belong"),
    );
  }

  #unescape(raw: string): string {
    const text = unescapeXml(raw);
    if (text === undefined) this.malformed("a character or reference is not allowed");
    return text ?? "";
  }

  #atEnd(): undefined {
    if (this.#depth > 0) this.malformed("it ends inside an element");
    return undefined;
  }

  #leave(): undefined {
    this.#selfClosed = false;
    this.#scope.leave(this.#depth);
    this.#depth--;
    return undefined;
  }

  #skipSpace(): void {
    while (isXmlSpace(this.text.charCodeAt(this.#at))) this.#at++;
  }

  /** Passes over a comment, an instruction, the XML declaration, or a CDATA section of spaces. */
  #skipMarkup(): boolean {
    const markup = readMarkup(this.text, this.#at);
    if (markup === undefined || (markup.isCdata && this.#depth === 0)) {
      this.malformed("a document type, or a comment that does not end");
      return false;
    }
    this.#at = markup.end;
    if (!markup.isBlank) this.#failText();
    return markup.isBlank;
  }

  #closeTag(): undefined {
    const name = this.#names[this.#depth] ?? "";
    if (this.#depth === 0 || !this.text.startsWith(name, this.#at + 2)) {
      this.malformed("an end tag does not match");
      return undefined;
    }
    this.#at += 2 + name.length;
    this.#skipSpace();
    if (this.text.charCodeAt(this.#at) !== GT) this.malformed("an end tag does not match");
    this.#at++;
    return this.#leave();
  }

  #openTag(): string | undefined {
    const start = this.#at + 1;
    let at = start;
    let colon = -1;
    for (; at < this.text.length; at++) {
      const code = this.text.charCodeAt(at);
      if (code === GT || code === SLASH || isXmlSpace(code)) break;
      if (code === COLON) colon = at;
    }
    if (at === start || at >= this.text.length) {
      this.malformed("a start tag is cut off");
      return undefined;
    }
    const local = this.text.slice(colon < 0 ? start : colon + 1, at);
    this.#depth++;
    this.#names[this.#depth] = this.text.slice(start, at);
    this.#locals[this.#depth] = local;
    this.#keys[this.#depth] = "";
    this.#scope.enter(this.#depth);
    this.#at = at;
    if (this.#attributes.length > 0) this.#attributes = [];
    if (this.text.charCodeAt(at) === GT) this.#at++;
    else if (!this.#readAttributes()) return undefined;
    const prefix = colon < 0 ? undefined : this.text.slice(start, colon);
    const namespace =
      prefix === undefined ? this.#scope.defaultAt(this.#depth) : this.#scope.lookUp(prefix);
    if (namespace === undefined) this.malformed("a prefix is not declared");
    this.#namespace = namespace ?? "";
    return this.#failure === undefined ? local : undefined;
  }

  #readAttributes(): boolean {
    for (let count = 0; count <= ATTRIBUTES_MAX; count++) {
      this.#skipSpace();
      const code = this.text.charCodeAt(this.#at);
      if (code === GT) {
        this.#at++;
        return true;
      }
      if (code === SLASH) {
        if (this.text.charCodeAt(this.#at + 1) !== GT) break;
        this.#at += 2;
        this.#selfClosed = true;
        return true;
      }
      if (!this.#readAttribute()) return false;
    }
    this.malformed("a start tag cannot be read");
    return false;
  }

  #readAttribute(): boolean {
    const equals = this.text.indexOf("=", this.#at);
    const name = equals < 0 ? "" : this.text.slice(this.#at, equals).trimEnd();
    this.#at = equals + 1;
    this.#skipSpace();
    const quote = this.text[this.#at] ?? "";
    const end = quote === '"' || quote === "'" ? this.text.indexOf(quote, this.#at + 1) : -1;
    if (!/^[A-Za-z_][\w.:-]*$/.test(name) || end < 0) {
      this.malformed("an attribute cannot be read");
      return false;
    }
    const value = this.#unescape(this.text.slice(this.#at + 1, end));
    this.#at = end + 1;
    if (!this.#scope.declare(this.#depth, name, value)) this.#attributes.push([name, value]);
    return this.#failure === undefined;
  }
}
