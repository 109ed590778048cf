/**
 * Who owns a socket path: one process, also after another was killed without cleaning up.
 *
 * Effect: makes and removes socket files. A hard link is made as a whole or not at all, so of several
 * claimants one wins; a path where nobody answers is taken over.
 */
import { chmodSync, existsSync, linkSync, statSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";
import { FlowliftError } from "../lib/base/errors.ts";
import { explainSocketPath } from "../lib/base/folders.ts";

const SOCKET_MODE = 0o600;
const ATTEMPTS_MAX = 3;

export interface SocketClaim {
  /** Whether the path still leads here. */
  holds(): boolean;
  release(): void;
}

/** Makes the server listen at the path; undefined when somebody else does. Throws PORT_IN_USE. */
export async function claimSocketPath(
  server: Server,
  path: string,
): Promise<SocketClaim | undefined> {
  const own = `${path}.${process.pid}`;
  await listen(server, own);
  chmodSync(own, SOCKET_MODE);
  const { ino } = statSync(own);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (tryLink(own, path)) {
      unlinkSync(own);
      const holds = (): boolean => statSync(path, { throwIfNoEntry: false })?.ino === ino;
      const release = (): void => {
        if (holds()) unlinkSync(path);
      };
      return { holds, release };
    }
    if (await answers(path)) break;
    if (existsSync(path)) unlinkSync(path);
  }
  server.close();
  return undefined;
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw new FlowliftError("PORT_IN_USE", `Cannot listen on "${to}"`, { cause: error });
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new FlowliftError("PORT_IN_USE", explainSocketPath(path), { cause })),
    );
    server.listen(path, resolve);
  });
}

/** Whether somebody accepts connections there. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
