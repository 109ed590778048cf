/**
 * Reads flows that stand exactly as `encode-flow.ts` writes them, several times faster than the XML reader.
 *
 * Pure but for a memory of earlier texts. Anything else, right or wrong, is left to `decode-flow.ts`, which
 * alone decides what is an error; both give the same value for what this one accepts.
 * Limit: TEXTS_MAX texts remembered of each sort, then it starts anew; longer ones than
 * TEXT_CHARACTERS_MAX are not remembered.
 */
import {
  type IpAddress,
  type MacAddress,
  parseIpAddress,
  parseMacAddress,
} from "../lib/inet/address.ts";
import { MTU_BYTES_MAX, MTU_BYTES_MIN } from "./decode-direction.ts";
import type {
  Directions,
  FlowDirection,
  FlowEgress,
  FlowMatch,
  FlowRewrite,
  FlowRule,
  OffloadFlow,
  OffloadService,
} from "./messages.ts";
import { UINT8_MAX, UINT16_MAX, UINT32_MAX } from "./xml-leaf.ts";

export const TEXTS_MAX = 4_096;
export const TEXT_CHARACTERS_MAX = 2_048;
/** Decimal digits that a double holds exactly. */
const DIGITS_MAX = 15;
const DIGIT_ZERO = 48;
const LT = 60;
const NO_RULES: readonly FlowRule[] = [];
const SERVICES: readonly OffloadService[] = ["nat", "firewall", "lb", "unspecified"];
const DIRECTIONS: readonly Directions[] = ["both", "original-only"];

/** A flow and where its element ends. */
export interface ScannedFlow {
  readonly flow: OffloadFlow;
  readonly end: number;
}

/** What stops a scan: the text is not of the expected form. */
const OTHER_FORM: unique symbol = Symbol("other form");

/** Remembers what short texts mean; the texts are copies, so that no message is kept alive. */
class TextMemory<T> {
  readonly #known = new Map<string, T>();

  find(text: string): T | undefined {
    return this.#known.get(text);
  }

  keep(text: string, value: T): T {
    if (text.length > TEXT_CHARACTERS_MAX) return value;
    if (this.#known.size >= TEXTS_MAX) this.#known.clear();
    this.#known.set(copyText(text), value);
    return value;
  }
}

function copyText(text: string): string {
  return Buffer.from(text, "utf8").toString("utf8");
}

const addresses = new TextMemory<IpAddress>();
const macs = new TextMemory<MacAddress>();
const rules = new TextMemory<readonly FlowRule[]>();

export class FlowScanner {
  readonly #text: string;
  #at = 0;
  /** The rules of the flow that was left to the reader, to be remembered. */
  #unknownRules: string | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Reads the `<flow>` that begins at `at`, or returns undefined. */
  scan(at: number): ScannedFlow | undefined {
    this.#at = at;
    this.#unknownRules = undefined;
    try {
      const flow = this.#flow();
      return { flow, end: this.#at };
    } catch (reason) {
      if (reason !== OTHER_FORM) throw reason;
      return undefined;
    }
  }

  /** Remembers the rules of the flow that the reader has read in place of the last scan. */
  learn(read: OffloadFlow): void {
    if (this.#unknownRules === undefined) return;
    const copies = read.rules.map(({ attachment, direction, name }) => ({
      attachment: copyText(attachment),
      direction,
      name: copyText(name),
    }));
    rules.keep(this.#unknownRules, copies);
    this.#unknownRules = undefined;
  }

  #flow(): OffloadFlow {
    this.#literal("<flow><flow-id>");
    const flowId = BigInt(this.#number(Number.MAX_SAFE_INTEGER));
    this.#literal("</flow-id><service>");
    const service = this.#name(SERVICES);
    this.#literal("</service>");
    const flowRules = this.#rules();
    this.#literal("<policy-tag>");
    const policyTag = this.#number(UINT32_MAX);
    this.#literal("</policy-tag><policy-epoch>");
    const policyEpoch = BigInt(this.#number(Number.MAX_SAFE_INTEGER));
    this.#literal("</policy-epoch><directions>");
    const directions = this.#name(DIRECTIONS);
    this.#literal("</directions><original>");
    const original = this.#direction();
    this.#literal("</original>");
    const reply = directions === "both" ? this.#reply() : undefined;
    this.#literal("<idle-timeout>");
    const idleTimeoutMs = this.#number(UINT32_MAX);
    this.#literal("</idle-timeout><version>");
    const version = BigInt(this.#number(Number.MAX_SAFE_INTEGER));
    this.#literal("</version></flow>");
    const head = { flowId, service, rules: flowRules, policyTag, policyEpoch, directions };
    const flow = { ...head, original, idleTimeoutMs, version };
    return reply === undefined ? flow : { ...flow, reply };
  }

  #reply(): FlowDirection {
    this.#literal("<reply>");
    const reply = this.#direction();
    this.#literal("</reply>");
    return reply;
  }

  #rules(): readonly FlowRule[] {
    if (!this.#text.startsWith("<rule>", this.#at)) return NO_RULES;
    const end = this.#text.indexOf("<policy-tag>", this.#at);
    if (end < 0) throw OTHER_FORM;
    const text = this.#text.slice(this.#at, end);
    const known = rules.find(text);
    if (known === undefined) {
      this.#unknownRules = text;
      throw OTHER_FORM;
    }
    this.#at = end;
    return known;
  }

  #direction(): FlowDirection {
    const match = this.#match();
    const rewrite = this.#optional("<rewrite>") ? this.#rewrite() : {};
    this.#literal("<egress><vnic>");
    const vnic = this.#mac();
    this.#literal("</vnic><next-hop>");
    const nextHop = this.#mac();
    this.#literal("</next-hop><mtu>");
    const mtuBytes = this.#number(MTU_BYTES_MAX, MTU_BYTES_MIN);
    this.#literal("</mtu></egress>");
    const egress: FlowEgress = { vnic, nextHop, mtuBytes };
    return { match, rewrite, egress };
  }

  #match(): FlowMatch {
    this.#literal("<match><vnic>");
    const vnic = this.#mac();
    this.#literal("</vnic><protocol>");
    const protocol = this.#number(UINT8_MAX);
    this.#literal("</protocol><source-address>");
    const sourceAddress = this.#address();
    this.#literal("</source-address><destination-address>");
    const destinationAddress = this.#address();
    this.#literal("</destination-address><source-port>");
    const sourcePort = this.#number(UINT16_MAX);
    this.#literal("</source-port><destination-port>");
    const destinationPort = this.#number(UINT16_MAX);
    this.#literal("</destination-port></match>");
    return { vnic, protocol, sourceAddress, destinationAddress, sourcePort, destinationPort };
  }

  #rewrite(): FlowRewrite {
    const rewrite: { -readonly [K in keyof FlowRewrite]: FlowRewrite[K] } = {};
    if (this.#optional("<source-address>")) {
      rewrite.sourceAddress = this.#address();
      this.#literal("</source-address>");
    }
    if (this.#optional("<destination-address>")) {
      rewrite.destinationAddress = this.#address();
      this.#literal("</destination-address>");
    }
    if (this.#optional("<source-port>")) {
      rewrite.sourcePort = this.#number(UINT16_MAX);
      this.#literal("</source-port>");
    }
    if (this.#optional("<destination-port>")) {
      rewrite.destinationPort = this.#number(UINT16_MAX);
      this.#literal("</destination-port>");
    }
    this.#literal("</rewrite>");
    return rewrite;
  }

  #literal(expected: string): void {
    if (!this.#text.startsWith(expected, this.#at)) throw OTHER_FORM;
    this.#at += expected.length;
  }

  #optional(expected: string): boolean {
    if (!this.#text.startsWith(expected, this.#at)) return false;
    this.#at += expected.length;
    return true;
  }

  /** Reads plain digits; other forms of the same number are the reader's. */
  #number(max: number, min = 0): number {
    const start = this.#at;
    let value = 0;
    let at = start;
    for (; at - start <= DIGITS_MAX; at++) {
      const digit = this.#text.charCodeAt(at) - DIGIT_ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = 10 * value + digit;
    }
    const count = at - start;
    const isPlain = count === 1 || (count > 1 && this.#text.charCodeAt(start) !== DIGIT_ZERO);
    if (!isPlain || count > DIGITS_MAX || value > max || value < min) throw OTHER_FORM;
    this.#at = at;
    return value;
  }

  #name<T extends string>(names: readonly T[]): T {
    for (const name of names) {
      if (!this.#text.startsWith(name, this.#at)) continue;
      if (this.#text.charCodeAt(this.#at + name.length) !== LT) continue;
      this.#at += name.length;
      return name;
    }
    throw OTHER_FORM;
  }

  #address(): IpAddress {
    const text = this.#leaf();
    const known = addresses.find(text);
    if (known !== undefined) return known;
    const address = parseIpAddress(text);
    if (address === undefined) throw OTHER_FORM;
    return addresses.keep(text, copyText(address) as IpAddress);
  }

  #mac(): MacAddress {
    const text = this.#leaf();
    const known = macs.find(text);
    if (known !== undefined) return known;
    const mac = parseMacAddress(text);
    if (mac === undefined) throw OTHER_FORM;
    return macs.keep(text, copyText(mac) as MacAddress);
  }

  #leaf(): string {
    const end = this.#text.indexOf("<", this.#at);
    if (end < 0) throw OTHER_FORM;
    const text = this.#text.slice(this.#at, end);
    this.#at = end;
    return text;
  }
}
