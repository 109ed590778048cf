/**
 * The users of the configuration (ietf-system), made when it changes.
 *
 * Pure state. Passwords that come in clear ("$0$…", RFC 7317) are hashed before they are kept anywhere.
 */
import ssh2 from "ssh2";
import { hashPassword } from "../lib/crypt/libcrypt.ts";
import { childNamed, containerNamed, entriesNamed, valueNamed } from "./core/tree-reading.ts";
import type { DataNode, DataRoot } from "./data-node.ts";
import type { EditNode } from "./edit-node.ts";
import type { ConfiguredUser } from "./users.ts";

const CLEAR = "$0$";

export class ConfiguredUsers {
  readonly #running: () => DataRoot;
  #source: DataNode | undefined;
  #users: ReadonlyMap<string, ConfiguredUser> = new Map();

  constructor(running: () => DataRoot) {
    this.#running = running;
  }

  get all(): ReadonlyMap<string, ConfiguredUser> {
    const system = containerNamed(this.#running(), "system");
    const source = childNamed(system, "authentication");
    if (source === this.#source) return this.#users;
    this.#source = source;
    this.#users = readUsers(this.#running());
    return this.#users;
  }
}

function readUsers(running: DataRoot): ReadonlyMap<string, ConfiguredUser> {
  const authentication = containerNamed(containerNamed(running, "system"), "authentication");
  const users = new Map<string, ConfiguredUser>();
  for (const user of entriesNamed(authentication, "user")) {
    const keys = entriesNamed(user, "authorized-key").flatMap((key) => {
      const text = `${valueNamed(key, "algorithm")} ${valueNamed(key, "key-data")}`;
      const parsed = ssh2.utils.parseKey(text);
      return parsed instanceof Error ? [] : [parsed];
    });
    users.set(valueNamed(user, "name") ?? "", {
      keys,
      passwordHash: valueNamed(user, "password"),
    });
  }
  return users;
}

/** Returns the edits with every clear password hashed; the same edits when there is none. */
export function hashClearPasswords(edits: EditNode[]): EditNode[] {
  const system = edits.some(({ schema }) => schema.module === "ietf-system");
  return system ? edits.map(hashBelow) : edits;
}

function hashBelow(edit: EditNode): EditNode {
  if (edit.schema.name === "password" && edit.value.startsWith(CLEAR)) {
    return { ...edit, value: hashPassword(edit.value.slice(CLEAR.length)) };
  }
  return edit.children.length === 0 ? edit : { ...edit, children: edit.children.map(hashBelow) };
}
