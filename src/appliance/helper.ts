/**
 * The appliance's root helper: a closed list of operations, asked for over a local socket.
 *
 * Effect: changes the kernel's host name (of this process's UTS namespace); in a VM, what guest-operations.ts
 * lists besides. Everything else is refused. Whoever may open the socket (mode 0660) may ask.
 */
import { chownSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { dirname, join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { type LocalRpcHandlers, listenLocalRpc } from "../lib/base/local-rpc.ts";
import type { Log } from "../lib/base/log.ts";
import { isHostname } from "./hostname.ts";
import { type ApplianceSettings, HELPER_SOCKET_NAME } from "./settings.ts";

const HOSTNAME_FILE = "/proc/sys/kernel/hostname";
const SOCKET_MODE = 0o660;

/** The kernel's host name; an argument, so that tests need no namespace. */
export interface HostnameFile {
  read(): string;
  write(hostname: string): void;
}

/** Returns the operations. Every other name is refused by the local socket's own rule. */
export function makeHelperOperations(file: HostnameFile, log: Log): LocalRpcHandlers {
  return {
    "set-hostname": (params: unknown): { readonly previous: string } => {
      const hostname = (params as { readonly hostname?: unknown } | null)?.hostname;
      if (!isHostname(hostname)) {
        log.warn("A host name was refused");
        throw new FlowliftError("LOCAL_RPC_FAILED", `${JSON.stringify(hostname)} is no host name`);
      }
      const previous = file.read().trim();
      file.write(hostname);
      log.info("The host's name is set", { hostname });
      return { previous };
    },
  };
}

/** Listens on helper.sock, which belongs to the group of its directory. `more`: operations of a VM. */
export async function startHelper(
  settings: ApplianceSettings,
  log: Log,
  more: LocalRpcHandlers = {},
): Promise<Server> {
  const path = join(settings.runDirectory, HELPER_SOCKET_NAME);
  const file: HostnameFile = {
    read: () => readFileSync(HOSTNAME_FILE, "utf8"),
    write: (name) => writeFileSync(HOSTNAME_FILE, name),
  };
  const operations = { ...makeHelperOperations(file, log), ...more };
  const server = await listenLocalRpc(path, operations, undefined, SOCKET_MODE);
  chownSync(path, 0, statSync(dirname(path)).gid);
  return server;
}
