/** What may be a host name. Pure. */

/** linux/include/uapi/linux/utsname.h: __NEW_UTS_LEN. */
export const HOSTNAME_BYTES_MAX = 64;

/** Labels of letters, digits and inner hyphens, joined by dots (RFC 1123 §2.1). */
export function isHostname(value: unknown): value is string {
  if (typeof value !== "string" || value.length > HOSTNAME_BYTES_MAX) return false;
  const label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
  return new RegExp(`^${label}(?:\\.${label})*$`).test(value);
}
