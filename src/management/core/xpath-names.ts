/**
 * XPath with the prefixes of XML, turned into the names that libyang wants.
 *
 * Pure: `/if:interfaces/if:interface[if:name='a:b']` => `/ietf-interfaces:interfaces/…`.
 * Source: RFC 6241 §8.9; literals and axes stay as they are.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";

/** A longer expression is refused. */
export const XPATH_CHARACTERS_MAX = 65_536;
const TOKENS = /'[^']*'|"[^"]*"|[A-Za-z_][\w.-]*::|([A-Za-z_][\w.-]*):(?=[A-Za-z_*])|[\s\S]/g;

export function toModuleXpath(
  xpath: string,
  scope: Readonly<Record<string, string>>,
  moduleOf: (namespace: string) => string | undefined,
): Result<string, RpcError> {
  const bad = (text: string): Result<string, RpcError> =>
    err(
      protocolError("invalid-value", text, { info: [{ name: "bad-attribute", text: "select" }] }),
    );
  if (xpath.trim() === "") return bad('A filter of type "xpath" needs the attribute "select"');
  if (xpath.length > XPATH_CHARACTERS_MAX) {
    return bad(`An XPath expression has at most ${XPATH_CHARACTERS_MAX} characters`);
  }
  const out: string[] = [];
  for (const match of xpath.matchAll(TOKENS)) {
    const prefix = match[1];
    if (prefix === undefined) {
      out.push(match[0]);
      continue;
    }
    const namespace = scope[prefix];
    // Module names are taken as they are, as clients of ours write them.
    const module = namespace === undefined ? prefix : moduleOf(namespace);
    if (module === undefined) return bad(`The prefix "${prefix}" stands for no module's namespace`);
    out.push(`${module}:`);
  }
  return ok(out.join(""));
}
