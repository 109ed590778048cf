/** Names of tenants, virtual machines, segments and hosts, as flowlift-controller.yang has them. Pure. */
import { err, ok, type Result } from "../../lib/base/result.ts";

export const NAME_CHARACTERS_MAX = 64;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** A virtual machine's place: `TENANT/NAME`. */
export interface VmName {
  readonly tenant: string;
  readonly vm: string;
}

export function isName(text: string): boolean {
  return text.length <= NAME_CHARACTERS_MAX && NAME.test(text);
}

/** Reads `TENANT/NAME`. */
export function parseVmName(
  text: string,
): Result<VmName, { readonly kind: "name-invalid"; readonly message: string }> {
  const [tenant = "", vm = "", ...more] = text.split("/");
  if (more.length === 0 && isName(tenant) && isName(vm)) return ok({ tenant, vm });
  const message = `"${text}" is no TENANT/NAME of letters, digits, ".", "_" and "-"`;
  return err({ kind: "name-invalid", message });
}
