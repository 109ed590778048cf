/**
 * The controller's NETCONF for operators: its configuration as datastores, applied live.
 *
 * Effect: reads and writes the state directory, listens. The configuration file is what a controller begins
 * with that has no datastore yet (day 0); from then on the datastore is the truth, over restarts too.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { makeFolder } from "../lib/base/folders.ts";
import type { Log } from "../lib/base/log.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import { defaultYangDirectories } from "../lib/yang/yang-directories.ts";
import { ManagementServer } from "../management/management-server.ts";
import type { ControllerApplier } from "./applier.ts";
import { OPERATOR_USER, type OperatorFiles } from "./operator-access.ts";
import type { NetconfSettings } from "./settings.ts";

/** Running counts over every restart: a controller has no reboot that would go back to startup. */
const BOOT_ID = "controller";

export interface NetconfOptions {
  readonly applier: ControllerApplier;
  readonly stateDirectory: string;
  readonly operator: OperatorFiles;
  readonly listen: NetconfSettings;
  /** RFC 7951 text; undefined when there is a datastore. */
  readonly dayZeroConfig: string | undefined;
  readonly log: Log;
}

const DATASTORES = "datastores";

/** Returns whether this state directory has a configuration. */
export function hasDatastore(stateDirectory: string): boolean {
  const directory = join(stateDirectory, DATASTORES);
  return existsSync(directory) && readdirSync(directory).length > 0;
}

/** Loads the datastores, applies running, and serves. Throws when running cannot be applied. */
export async function serveNetconf(options: NetconfOptions): Promise<ManagementServer> {
  const { applier, operator, listen, log } = options;
  const stateDirectory = join(options.stateDirectory, DATASTORES);
  makeFolder(stateDirectory, 0o700);
  const server = await ManagementServer.start({
    searchDirectories: defaultYangDirectories(findProjectRoot()),
    modules: [{ name: "flowlift-controller" }],
    applier,
    stateDirectory,
    hostKeyFile: operator.hostKeyFile,
    authorizedKeysFile: operator.authorizedKeysFile,
    users: [OPERATOR_USER],
    listen: [
      "listenFd" in listen
        ? { kind: "inherited", fd: listen.listenFd }
        : { kind: "address", address: listen.host, port: listen.port },
    ],
    bootId: BOOT_ID,
    dayZeroConfig: options.dayZeroConfig,
    savesStartup: () => true,
    log,
  });
  const problem = await server.reapply();
  if (problem === undefined) return server;
  server.close();
  const place = problem.path === undefined ? "" : ` at "${problem.path}"`;
  const text = `The stored configuration cannot be applied${place}: ${problem.message}`;
  throw new FlowliftError("CONFIG_FILE_INVALID", text);
}
