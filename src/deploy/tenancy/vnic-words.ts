/**
 * `--vnic MAC=SEGMENT[@INTERFACE]`: a virtual network card as an operator writes it.
 *
 * Pure.
 */

import { err, ok, type Result } from "../../lib/base/result.ts";
import { type MacAddress, parseMacAddress } from "../../lib/inet/address.ts";
import { isName } from "./names.ts";

/** As many as flowlift-controller allows. */
export const VNICS_PER_VM_MAX = 64;
/** IFNAMSIZ without the final zero. */
export const INTERFACE_NAME_MAX = 15;

export interface VnicWords {
  readonly mac: MacAddress;
  readonly segment: string;
  /** The host's end; undefined: it is looked for. */
  readonly interfaceName: string | undefined;
}

export type WordsError = { readonly kind: "words-invalid"; readonly message: string };

/** Returns the parts. */
export function parseVnic(
  words: string,
  placeCharactersMax: number = INTERFACE_NAME_MAX,
): Result<VnicWords, WordsError> {
  const fail = (why: string): Result<never, WordsError> =>
    err({ kind: "words-invalid", message: `"${words}" is no MAC=SEGMENT[@INTERFACE]: ${why}` });
  const equals = words.indexOf("=");
  if (equals < 0) return fail("there is no =");
  const mac = parseMacAddress(words.slice(0, equals));
  if (mac === undefined) return fail(`"${words.slice(0, equals)}" is no MAC address`);
  if ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1) return fail("the MAC address is a group's");
  const rest = words.slice(equals + 1);
  const at = rest.indexOf("@");
  const segment = at < 0 ? rest : rest.slice(0, at);
  const interfaceName = at < 0 ? undefined : rest.slice(at + 1);
  if (!isName(segment)) return fail(`"${segment}" cannot name a segment`);
  if (interfaceName !== undefined) {
    const fits = /^[^/\s]+$/.test(interfaceName) && interfaceName.length <= placeCharactersMax;
    if (!fits) return fail(`"${interfaceName}" has no 1 to ${placeCharactersMax} characters`);
  }
  return ok({ mac, segment, interfaceName });
}

/** Returns all of them; a MAC address on one segment comes once. */
export function parseVnics(
  list: readonly string[],
  placeCharactersMax: number = INTERFACE_NAME_MAX,
): Result<readonly VnicWords[], WordsError> {
  if (list.length === 0 || list.length > VNICS_PER_VM_MAX) {
    const message = `1 to ${VNICS_PER_VM_MAX} --vnic are needed, not ${list.length}`;
    return err({ kind: "words-invalid", message });
  }
  const vnics: VnicWords[] = [];
  for (const words of list) {
    const vnic = parseVnic(words, placeCharactersMax);
    if (!vnic.ok) return vnic;
    if (vnics.some(({ mac }) => mac === vnic.value.mac)) {
      return err({ kind: "words-invalid", message: `${vnic.value.mac} comes twice` });
    }
    vnics.push(vnic.value);
  }
  return ok(vnics);
}
