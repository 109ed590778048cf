/**
 * The first boot's documents, as cloud-init's NoCloud and OpenStack's ConfigDrive lay them out.
 *
 * Pure. Source: cloud-init's documentation ("NoCloud", "ConfigDrive"). There is no password in them.
 * Limit: DOCUMENT_BYTES_MAX of each document, KEYS_MAX keys.
 */

import { err, ok, type Result } from "../../lib/base/result.ts";
import { CONFIG_DRIVE_VOLUME_LABEL, NOCLOUD_VOLUME_LABEL } from "../../lib/guest/contract.ts";
import { parseXml } from "../../lib/xml/tree.ts";
import { formatYaml } from "../yaml.ts";

/** As much as a VM reads. */
export const DOCUMENT_BYTES_MAX: number = 1024 * 1024;
export const KEYS_MAX = 64;
const KEY =
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}( [^\r\n]*)?$/;

export type SeedLayout = "nocloud" | "config-drive";

export interface SeedWords {
  /** `TENANT-VM`. */
  readonly hostname: string;
  readonly uuid: string;
  /** Text of a file with public keys, one a line; comments and empty lines are left out. */
  readonly publicKeys: string;
  /** A NETCONF `<config>` document. */
  readonly dayZero: string | undefined;
  /** cloud-init's network-config (version 1 or 2), as it is. */
  readonly networkConfig: string | undefined;
}

export interface SeedVolume {
  readonly label: string;
  /** By path on the volume. */
  readonly files: ReadonlyMap<string, string>;
}

export type SeedError = { readonly kind: "seed-invalid"; readonly message: string };

/** Returns what the volume holds. */
export function planSeed(words: SeedWords, layout: SeedLayout): Result<SeedVolume, SeedError> {
  const keys = words.publicKeys
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const wrong = keys.findIndex((key) => !KEY.test(key));
  if (wrong >= 0) return fail(`key ${wrong + 1} is no public key in OpenSSH's form`);
  if (keys.length === 0) return fail("there is no public key: nobody could log in");
  if (keys.length > KEYS_MAX) return fail(`there are more than ${KEYS_MAX} keys`);
  const problem = checkDayZero(words.dayZero);
  if (problem !== undefined) return fail(problem);
  const volume = layout === "nocloud" ? planNoCloud(words, keys) : planConfigDrive(words, keys);
  for (const [name, text] of volume.files) {
    if (Buffer.byteLength(text) > DOCUMENT_BYTES_MAX) {
      return fail(`"${name}" has more than ${DOCUMENT_BYTES_MAX} bytes`);
    }
  }
  return ok(volume);
}

/** The VM checks it against its models; here only that it is what it claims to be. */
function checkDayZero(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const root = parseXml(text);
  if (!root.ok) return `the day-0 document is no XML: ${root.error.message}`;
  return root.value.local === "config" ? undefined : "the day-0 document's root is not <config>";
}

function formatUserData(keys: readonly string[]): string {
  return `#cloud-config\n${formatYaml({ ssh_authorized_keys: keys })}`;
}

function planNoCloud(words: SeedWords, keys: readonly string[]): SeedVolume {
  const metaData = { "instance-id": words.uuid, "local-hostname": words.hostname };
  const files = new Map([
    ["meta-data", formatYaml(metaData)],
    ["user-data", formatUserData(keys)],
  ]);
  if (words.networkConfig !== undefined) files.set("network-config", words.networkConfig);
  if (words.dayZero !== undefined) files.set("day0", words.dayZero);
  return { label: NOCLOUD_VOLUME_LABEL, files };
}

/** ConfigDrive has no place for a fourth document: day 0 is the user data, keys are in the meta data. */
function planConfigDrive(words: SeedWords, keys: readonly string[]): SeedVolume {
  const metaData = {
    uuid: words.uuid,
    hostname: words.hostname,
    public_keys: Object.fromEntries(keys.map((key, index) => [`key${index}`, key])),
  };
  const files = new Map([
    ["openstack/latest/meta_data.json", `${JSON.stringify(metaData, null, 1)}\n`],
    ["openstack/latest/user_data", words.dayZero ?? formatUserData(keys)],
  ]);
  return { label: CONFIG_DRIVE_VOLUME_LABEL, files };
}

function fail(message: string): Result<never, SeedError> {
  return err({ kind: "seed-invalid", message });
}
