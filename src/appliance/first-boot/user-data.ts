/**
 * user-data and meta-data: who the VM is, who may manage it, and its first configuration.
 *
 * Pure. Source: cloud-init's documentation ("Cloud config examples", "NoCloud", "ConfigDrive"). Nothing in
 * these documents is ever run.
 * Limit: KEYS_MAX, USERS_MAX, NTP_SERVERS_MAX.
 */
import { isHostname } from "../hostname.ts";
import { DocumentReader, readDocument, type Value } from "./document.ts";
import type { ProblemList } from "./report.ts";

export const KEYS_MAX = 64;
export const USERS_MAX = 16;
export const NTP_SERVERS_MAX = 8;
const KEY =
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}( [^\r\n]*)?$/;

export interface UserData {
  readonly hostname: string | undefined;
  readonly users: readonly string[];
  readonly keys: readonly string[];
  readonly dayZero: string | undefined;
  readonly ntpServers: readonly string[];
}

export interface MetaData {
  readonly instanceId: string | undefined;
  readonly hostname: string | undefined;
  readonly keys: readonly string[];
}

const NOTHING: UserData = {
  hostname: undefined,
  users: [],
  keys: [],
  dayZero: undefined,
  ntpServers: [],
};

/** Returns what is usable; the rest is told. */
export function readUserData(name: string, text: string, problems: ProblemList): UserData {
  const start = text.trimStart();
  if (start === "") return NOTHING;
  if (start.startsWith("<")) return { ...NOTHING, dayZero: text };
  if (!start.startsWith("#cloud-config")) {
    const first = JSON.stringify(start.split("\n")[0]?.slice(0, 40));
    problems.add(
      name,
      1,
      `it starts with ${first}; it must be "#cloud-config" or a NETCONF <config>, scripts are never run`,
    );
    return NOTHING;
  }
  const root = readDocument(name, text, problems);
  return root === undefined ? NOTHING : readCloudConfig(new DocumentReader(name, problems), root);
}

function readCloudConfig(reader: DocumentReader, root: Value): UserData {
  const members = reader.map(root);
  const known = ["hostname", "fqdn", "ssh_authorized_keys", "users", "flowlift", "ntp"];
  reader.refuseUnknown(members, known, ["preserve_hostname", "prefer_fqdn_over_hostname"]);
  const keys = readKeys(reader, members.get("ssh_authorized_keys"));
  const users: string[] = [];
  for (const item of reader.list(members.get("users"))) {
    const user = reader.text(item.members === undefined ? item : item.members.get("name"));
    if (user === undefined || user === "default") continue;
    if (/^[a-z_][a-z0-9_-]{0,31}$/.test(user)) users.push(user);
    else reader.fail(item, `"${user}" is no user name`);
    keys.push(...readKeys(reader, item.members?.get("ssh_authorized_keys")));
    if (item.members !== undefined && refusesPassword(item.members)) {
      reader.fail(item, "passwords are not taken at first boot; give ssh_authorized_keys");
    }
  }
  if (users.length > USERS_MAX) reader.fail(root, `more than ${USERS_MAX} users`);
  const own = reader.map(members.get("flowlift"));
  reader.refuseUnknown(own, ["day0"]);
  const ntp = reader.map(members.get("ntp"));
  const servers = [...reader.list(ntp.get("servers")), ...reader.list(ntp.get("pools"))];
  return {
    hostname: readHostname(reader, members.get("hostname") ?? members.get("fqdn")),
    users: users.slice(0, USERS_MAX),
    keys: limitKeys(reader, root, keys),
    dayZero: reader.text(own.get("day0")),
    ntpServers: servers.flatMap((item) => readServer(reader, item)).slice(0, NTP_SERVERS_MAX),
  };
}

function refusesPassword(members: ReadonlyMap<string, Value>): boolean {
  return ["passwd", "hashed_passwd", "plain_text_passwd"].some((name) => members.has(name));
}

function readServer(reader: DocumentReader, item: Value): string[] {
  const text = reader.text(item);
  if (text === undefined) return [];
  if (isHostname(text) || /^[0-9a-fA-F:]+$/.test(text)) return [text];
  reader.fail(item, `"${text}" is no time server`);
  return [];
}

/** `instance-id`, `local-hostname`, `public-keys` (NoCloud), or meta_data.json (ConfigDrive). */
export function readMetaData(name: string, text: string, problems: ProblemList): MetaData {
  const root = readDocument(name, text, problems);
  if (root === undefined) return { instanceId: undefined, hostname: undefined, keys: [] };
  const reader = new DocumentReader(name, problems);
  const members = reader.map(root); // Clouds put much more here; only what is known is read.
  const instanceId = reader.text(members.get("instance-id") ?? members.get("uuid"));
  const hostname = members.get("local-hostname") ?? members.get("hostname");
  const keys = members.get("public-keys") ?? members.get("public_keys");
  return {
    instanceId: instanceId?.slice(0, 128),
    hostname: readHostname(reader, hostname),
    keys: limitKeys(reader, root, readKeys(reader, keys)),
  };
}

/** A list, a mapping name → key, or one text of several lines: clouds differ. */
function readKeys(reader: DocumentReader, at: Value | undefined): string[] {
  if (at === undefined || at.scalar === null) return [];
  const values = at.items ?? (at.members === undefined ? [at] : [...at.members.values()]);
  const keys: string[] = [];
  for (const value of values) {
    if (value.members !== undefined || value.items !== undefined) {
      keys.push(...readKeys(reader, value));
      continue;
    }
    for (const line of (reader.text(value) ?? "").split("\n")) {
      const key = line.trim();
      if (key === "") continue;
      if (isPublicKey(key)) keys.push(key);
      else
        reader.fail(
          value,
          `"${key.slice(0, 30)}" is no public key that is taken (ed25519, ecdsa or rsa, without options)`,
        );
    }
  }
  return keys;
}

/** An OpenSSH public key on one line, without options. */
export function isPublicKey(line: string): boolean {
  return line.length <= 16_384 && KEY.test(line);
}

function limitKeys(reader: DocumentReader, root: Value, keys: readonly string[]): string[] {
  if (keys.length > KEYS_MAX) reader.fail(root, `more than ${KEYS_MAX} keys; the rest is left out`);
  return keys.slice(0, KEYS_MAX);
}

function readHostname(reader: DocumentReader, at: Value | undefined): string | undefined {
  const text = reader.text(at);
  if (text === undefined || at === undefined) return undefined;
  return isHostname(text) ? text : reader.fail(at, `"${text}" is no host name`);
}
