/**
 * Instance paths as XPath with declared prefixes, for `error-path`.
 *
 * Pure: `/module:a/b[key='x']` => `/module:a/module:b[module:key='x']` with `xmlns:module`.
 * Source: RFC 6241 §4.3 (error-path is an absolute XPath), RFC 7951 §6.11 (the form we start from).
 */
import { escapeXml } from "../xml/tree.ts";

/** Returns the namespace of a module, or undefined when it is not loaded. */
export type NamespaceOfModule = (module: string) => string | undefined;

interface PathToken {
  readonly kind: "name" | "other";
  readonly text: string;
}

/** A quoted value, a name with an optional prefix, or any other single character. */
const PATH_TOKENS = /'[^']*'|"[^"]*"|[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?|[\s\S]/g;

function tokenize(path: string): PathToken[] {
  return Array.from(path.matchAll(PATH_TOKENS), ([text]) => ({
    kind: /^[A-Za-z_]/.test(text) ? ("name" as const) : ("other" as const),
    text,
  }));
}

/** Returns the `error-path` element. A path whose modules are unknown stays as it is. */
export function formatErrorPath(path: string, namespaceOf: NamespaceOfModule): string {
  const declarations = new Map<string, string>();
  let module: string | undefined;
  let depth = 0;
  let predicateModule: string | undefined;
  const out: string[] = [];
  for (const { kind, text } of tokenize(path)) {
    if (text === "[") {
      depth++;
      predicateModule = module;
    } else if (text === "]") depth--;
    if (kind === "other") {
      out.push(text);
      continue;
    }
    const colon = text.indexOf(":");
    const named = colon < 0 ? undefined : text.slice(0, colon);
    const inherited = depth > 0 ? predicateModule : module;
    const own = named ?? inherited;
    if (depth === 0) module = own;
    const namespace = own === undefined ? undefined : namespaceOf(own);
    if (own !== undefined && namespace !== undefined) declarations.set(own, namespace);
    const local = colon < 0 ? text : text.slice(colon + 1);
    out.push(own === undefined ? local : `${own}:${local}`);
  }
  const scope = Array.from(
    declarations,
    ([prefix, namespace]) => ` xmlns:${prefix}="${escapeXml(namespace)}"`,
  );
  return `<error-path${scope.join("")}>${escapeXml(out.join(""))}</error-path>`;
}
