/**
 * The hello of the offload binding: NETCONF capabilities, and which session it belongs to.
 *
 * Pure. Source: RFC 6241 §8.1; docs/offload-binding.md §6.
 * Limit: HELLO_BYTES_MAX bytes; anything bigger is no hello.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import { childOf, childrenOf, parseXml, type XmlElement } from "../lib/xml/tree.ts";
import { parseSessionId, type SessionId } from "./framing.ts";

export const HELLO_BYTES_MAX = 16_384;
export const NETCONF_NAMESPACE = "urn:ietf:params:xml:ns:netconf:base:1.0";
export const BINDING_NAMESPACE = "urn:flowlift:offload-binding";
export const OFFLOAD_NAMESPACE = "urn:flowlift:offload";
export const OFFLOAD_REVISION = "2026-11-21";
export const BASE_1_1 = "urn:ietf:params:netconf:base:1.1";
export const OFFLOAD_CAPABILITY: string = `${OFFLOAD_NAMESPACE}?module=flowlift-offload&revision=${OFFLOAD_REVISION}`;

/** Offered by a side that can do CBOR; used when both offer it. */
export const CBOR_CAPABILITY = "urn:flowlift:offload-binding:cbor:1.0";

/** How messages after the hellos are written. */
export type Encoding = "xml" | "cbor";

export interface Hello {
  readonly own: SessionId;
  readonly echo: SessionId;
  /** What the sender can do beside XML. Absent: nothing. */
  readonly offersCbor?: boolean;
  /** Only the controller, which is the NETCONF server, sends one. */
  readonly netconfSessionId?: number;
}

export interface ReceivedHello extends Hello {
  readonly capabilities: readonly string[];
}

export type HelloError = {
  readonly kind: "hello-malformed" | "hello-incompatible";
  readonly message: string;
};

/** Returns the bytes of a hello, not yet framed. */
export function encodeHello(hello: Hello): Buffer {
  const id =
    hello.netconfSessionId === undefined
      ? ""
      : `<session-id>${hello.netconfSessionId}</session-id>`;
  return Buffer.from(
    `<hello xmlns="${NETCONF_NAMESPACE}"><capabilities>` +
      `<capability>${BASE_1_1}</capability>` +
      `<capability>${OFFLOAD_CAPABILITY.replaceAll("&", "&amp;")}</capability>` +
      (hello.offersCbor === true ? `<capability>${CBOR_CAPABILITY}</capability>` : "") +
      `</capabilities>${id}` +
      `<session xmlns="${BINDING_NAMESPACE}" own="${hello.own}" echo="${hello.echo}"/></hello>`,
  );
}

/** Returns the hello; `hello-incompatible` when a capability that we need is not offered. */
export function decodeHello(bytes: Uint8Array): Result<ReceivedHello, HelloError> {
  if (bytes.length > HELLO_BYTES_MAX) return malformed(`it has more than ${HELLO_BYTES_MAX} bytes`);
  const root = parseXml(bytes);
  if (!root.ok) return malformed(root.error.message);
  if (root.value.local !== "hello" || root.value.namespace !== NETCONF_NAMESPACE) {
    return malformed(`its root is "${root.value.local}"`);
  }
  const session = childOf(root.value, "session", BINDING_NAMESPACE);
  if (session === undefined) return malformed("it names no session");
  const own = readSessionId(session, "own");
  const echo = readSessionId(session, "echo");
  if (own === undefined || echo === undefined) return malformed("a session id is wrong");
  return readCapabilities(root.value, { own, echo });
}

function readSessionId(session: XmlElement, name: string): SessionId | undefined {
  const attribute = session.attributes.find(
    (candidate) => candidate.local === name && candidate.prefix === "",
  );
  return attribute === undefined ? undefined : parseSessionId(attribute.value);
}

function readCapabilities(root: XmlElement, session: Hello): Result<ReceivedHello, HelloError> {
  const list = childOf(root, "capabilities", NETCONF_NAMESPACE);
  const capabilities =
    list === undefined ? [] : childrenOf(list, "capability").map((each) => each.text.trim());
  const lacks = [BASE_1_1, OFFLOAD_NAMESPACE].find(
    (needed) => !capabilities.some((each) => each === needed || each.startsWith(`${needed}?`)),
  );
  if (lacks !== undefined) {
    return err({ kind: "hello-incompatible", message: `The hello does not offer "${lacks}"` });
  }
  const offersCbor = capabilities.includes(CBOR_CAPABILITY);
  const ids: Hello = offersCbor ? { ...session, offersCbor } : session;
  const id = childOf(root, "session-id", NETCONF_NAMESPACE)?.text.trim();
  if (id === undefined) return ok({ ...ids, capabilities });
  if (!/^[1-9]\d{0,9}$/.test(id)) return malformed("its session-id is no number");
  return ok({ ...ids, capabilities, netconfSessionId: Number(id) });
}

function malformed(why: string): Result<never, HelloError> {
  return err({ kind: "hello-malformed", message: `The hello cannot be used: ${why}` });
}
