/**
 * The hello exchange: what each side announces, and which framing follows.
 *
 * Pure. Source: RFC 6241 §8.1; RFC 6242 §4.1.
 */
import { err, ok, type Result } from "../base/result.ts";
import { childOf, childrenOf, escapeXml, parseXml } from "../xml/tree.ts";
import { BASE_1_0, BASE_1_1, NS_NETCONF } from "./names.ts";

/** A client's hello is small; a bigger one is an attack or a mistake. */
export const HELLO_BYTES_MAX: number = 1024 * 1024;

export type HelloError = { readonly kind: "hello-malformed"; readonly message: string };

/** What a client's hello decides. */
export interface ClientHello {
  readonly capabilities: readonly string[];
  /** "1.1" means chunked framing from the next message on. */
  readonly base: "1.0" | "1.1";
}

/** Returns the server's hello. */
export function formatHello(capabilities: readonly string[], sessionId: number): string {
  const items = capabilities.map((uri) => `<capability>${escapeXml(uri)}</capability>`).join("");
  return (
    `<?xml version="1.0" encoding="UTF-8"?><hello xmlns="${NS_NETCONF}">` +
    `<capabilities>${items}</capabilities><session-id>${sessionId}</session-id></hello>`
  );
}

/** Reads a client's hello; both sides speak 1.1 when the client offers it. */
export function parseClientHello(message: Uint8Array): Result<ClientHello, HelloError> {
  const fail = (text: string): Result<ClientHello, HelloError> =>
    err({ kind: "hello-malformed", message: text });
  const parsed = parseXml(message);
  if (!parsed.ok) return fail(parsed.error.message);
  const root = parsed.value;
  if (root.local !== "hello" || root.namespace !== NS_NETCONF) {
    return fail("The first message is not a hello");
  }
  if (childOf(root, "session-id") !== undefined) {
    return fail("A client's hello has no session-id");
  }
  const list = childOf(root, "capabilities", NS_NETCONF);
  if (list === undefined) return fail("The hello has no capabilities");
  const capabilities = childrenOf(list, "capability").map((item) => item.text.trim());
  if (capabilities.includes(BASE_1_1)) return ok({ capabilities, base: "1.1" });
  if (capabilities.includes(BASE_1_0)) return ok({ capabilities, base: "1.0" });
  return fail("The hello offers no base capability that this server has");
}
