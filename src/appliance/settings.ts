/**
 * The settings file of the appliance's processes, and what they say to each other.
 *
 * Pure: types only. `flowlift appliance-manage|appliance-data|appliance-helper --settings FILE` read it.
 */

import type { ApplianceProfile } from "./modules.ts";

/** One JSON file serves the three processes of one appliance. */
export interface ApplianceSettings {
  /** Name of the appliance, for logs and the NETCONF banner. */
  readonly name: string;
  /** Sockets live here: data.sock, helper.sock. Shared by the appliance's processes. */
  readonly runDirectory: string;
  /** Datastores and SSH host key; written by appliance-manage only. */
  readonly stateDirectory: string;
  readonly netconf: {
    /** Addresses to bind in the appliance's own namespace, besides sockets inherited by LISTEN_FDS. */
    readonly listen: readonly { readonly address: string; readonly port: number }[];
    /** OpenSSH authorized_keys; nobody gets in without a key. */
    readonly authorizedKeysFile: string;
    readonly users: readonly string[];
  };
  /** The offload port. `unix`: connect to this socket path; `device`: open this character device or pty. */
  readonly offloadPort?: {
    readonly kind: "unix" | "device";
    readonly path: string;
    /** `xml`: the port speaks XML alone. Default: CBOR when the controller offers it. */
    readonly encoding?: "xml" | "cbor";
  };
  /** The management port, which carries SSH; none in the lab's namespaces. */
  readonly managePort?: {
    readonly kind: "unix" | "device";
    readonly path: string;
  };
  /** What the VM's first boot found (first-boot/report.ts); a JSON file. */
  readonly firstBootFile?: string;
  /** Names of the data interfaces in mark-index order (first is 1). */
  readonly interfaces: readonly string[];
  /** Which functions can be configured. Default: all. */
  readonly profile?: ApplianceProfile;
  /** Loaded as startup when no startup datastore exists yet (RFC 7951 JSON, or an XML `<config>`). */
  readonly dayZeroConfigFile?: string;
  /** Distinguishes a reboot of the VM (load startup) from a restart of the process (restore running). */
  readonly bootId: string;
}

/*
 * appliance-data listens on `${runDirectory}/data.sock` (lib/base/local-rpc.ts):
 *
 *   prepare {transactionId: string, config: ConfigData, asksKernel?: boolean}
 *                                                         -> {ok:true} | {ok:false, path, message}
 *       compiles and, unless asksKernel is false, checks the ruleset against the kernel (nft dry run, which
 *       costs the kernel a grace period); changes nothing
 *   commit  {transactionId: string}                       -> CommitOutcome
 *       applies the prepared ruleset in one transaction, judges every live flow again, cuts those that
 *       the new policy forbids on the slow and the fast path, and answers when all are cut or when
 *       the deadline is over (then `late` lists the rest); fails with NFT_APPLY_REJECTED when the kernel
 *       refuses, and then nothing has changed
 *   abort   {transactionId: string}                       -> {}
 *       forgets a prepared transaction; after commit: applies the previous configuration again
 *   preview {config: ConfigData}                          -> {ok:true, ruleset, cutFlows, cutOffloadedFlows}
 *                                                          | {ok:false, path, message}
 *       tells what a commit would do; changes nothing
 *   get-state {}                                          -> ConfigData
 *       operational data (config false) of nat, lb, firewall and offload as RFC 7951 data
 *   repair-network {}                                     -> {changes: string[]}
 *       makes interfaces, addresses, routes and neighbours what was committed last
 *   event "notification" {module, name, data}             data-plane events for the NETCONF stream
 */
export interface CommitOutcome {
  /** Live flows that the new policy forbids and that were cut. */
  readonly cutFlows: number;
  /** Of these, how many were offloaded. */
  readonly cutOffloadedFlows: number;
  /** Flows whose withdrawal was not acknowledged in time, as readable tuples. */
  readonly late: readonly string[];
}

export const DATA_SOCKET_NAME = "data.sock";
export const HELPER_SOCKET_NAME = "helper.sock";
/** How long a commit waits for the acknowledgement of a revocation. */
export const REVOCATION_DEADLINE_MS = 2_000;
