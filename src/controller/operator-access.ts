/**
 * What operators need to reach the controller's NETCONF: a key made at the first run, and where it listens.
 *
 * Effect: writes files that their owner alone may read. There is no password and no key that two controllers
 * share: each makes its own, and an operator may put other public keys in its place.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { makeSshKeyPair } from "../lib/ssh/key-pair.ts";
import { replaceFile } from "./journal.ts";

/** The one user of the controller's NETCONF. */
export const OPERATOR_USER = "operator";
export const CONNECTION_FILE_NAME = "netconf.json";

/** Files of the state directory. */
export interface OperatorFiles {
  readonly hostKeyFile: string;
  readonly keyFile: string;
  readonly authorizedKeysFile: string;
}

/** Where the controller's NETCONF is, for `flowlift tenant` and `flowlift vm`. */
export interface OperatorConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
  /** `algorithm base64`. */
  readonly hostKey: string;
}

/** Returns the files; without a list of keys, a key pair is made and becomes the list. */
export function openOperatorFiles(stateDirectory: string): OperatorFiles {
  const files = {
    hostKeyFile: join(stateDirectory, "ssh_host_ed25519_key"),
    keyFile: join(stateDirectory, "operator_ed25519"),
    authorizedKeysFile: join(stateDirectory, "authorized_keys"),
  };
  try {
    if (!existsSync(files.authorizedKeysFile)) {
      const comment = "flowlift-operator";
      const pair = makeSshKeyPair(comment);
      replaceFile(files.keyFile, pair.private);
      replaceFile(files.authorizedKeysFile, `${pair.public.trim()}\n`);
    }
  } catch (cause) {
    const text = `Cannot make the operator's key in "${stateDirectory}"`;
    throw new FlowliftError("STATE_FILE_UNWRITABLE", text, { cause });
  }
  return files;
}

/** Writes down where NETCONF is. */
export function writeConnection(
  runDirectory: string,
  files: OperatorFiles,
  where: { readonly host: string; readonly port: number },
): string {
  const [algorithm = "", data = ""] = readFileSync(`${files.hostKeyFile}.pub`, "utf8").split(/\s+/);
  const connection: OperatorConnection = {
    ...where,
    user: OPERATOR_USER,
    keyFile: files.keyFile,
    hostKey: `${algorithm} ${data}`,
  };
  const path = join(runDirectory, CONNECTION_FILE_NAME);
  replaceFile(path, `${JSON.stringify(connection, null, 1)}\n`);
  return path;
}
