/** Instance paths in errors. Pure. Source: RFC 6241 §4.3 (error-path). */

/** Returns the path below the envelope to the element at depth `end`; undefined for the envelope itself. */
export function formatPath(
  module: string,
  locals: readonly string[],
  keys: readonly string[],
  end: number,
): string | undefined {
  if (end < 2) return undefined;
  let path = "";
  for (let depth = 2; depth <= end; depth++) {
    const prefix = depth === 2 ? `${module}:` : "";
    path += `/${prefix}${locals[depth] ?? ""}${keys[depth] ?? ""}`;
  }
  return path;
}
