/**
 * Who each process is and what it may do, and the `setpriv` words that make it so.
 *
 * Pure. Source: the table "What each process is" in ARCHITECTURE.md.
 */
import { VM_UID_BASE } from "./plan.ts";

/** Group of all processes that share sockets. */
export const FLOWLIFT_GID = 64_000;
export const MANAGE_UID = 64_001;
export const DATA_UID = 64_002;
export const BRIDGE_UID = 64_003;
export const CONTROLLER_UID = 64_004;
export const AGENT_UID = 64_005;
/** May pass to the agent's socket: the controller. The bridge, on the same host, may not. */
export const AGENT_CLIENTS_GID = 64_006;
/** Carries the SSH streams of VMs between loopback and their serial ports. */
export const CONNECT_UID = 64_007;
/** Of QEMU processes: may open the lab's own /dev/kvm and /dev/net/tun. */
export const MACHINES_GID = 64_008;
/** Programs on client and server machines: nobody. */
export const NOBODY_UID = 65_534;

export interface Privileges {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. Default: none. */
  readonly groups?: readonly number[];
  /** Lower case without "cap_"; "all" leaves root's capabilities as they are. */
  readonly capabilities: readonly string[] | "all";
  /**
   * Stay in the bounding set without being held: a program whose file carries one of them would not
   * start otherwise, and no-new-privs keeps it from getting it.
   */
  readonly bounded?: readonly string[];
}

export type ProcessKind =
  | "appliance-manage"
  | "appliance-data"
  | "appliance-helper"
  | "bridge"
  | "controller"
  | "agent"
  | "connect"
  | "virtual-machine";

const flowlift = (uid: number, ...capabilities: string[]): Privileges => ({
  uid,
  gid: FLOWLIFT_GID,
  capabilities,
});

export const PRIVILEGES: Readonly<Record<ProcessKind, Privileges>> = {
  "appliance-manage": flowlift(MANAGE_UID, "net_bind_service"),
  "appliance-data": flowlift(DATA_UID, "net_admin", "net_raw"),
  "appliance-helper": { uid: 0, gid: 0, capabilities: "all" },
  bridge: flowlift(BRIDGE_UID),
  controller: { ...flowlift(CONTROLLER_UID), groups: [AGENT_CLIENTS_GID] },
  agent: flowlift(AGENT_UID, "bpf", "net_admin"),
  connect: { uid: CONNECT_UID, gid: CONNECT_UID, capabilities: [] },
  "virtual-machine": machinePrivileges(VM_UID_BASE),
};

/** Returns what the QEMU of one VM may do: no VM shares its user or group with another. */
export function machinePrivileges(uid: number): Privileges {
  return { uid, gid: uid, groups: [MACHINES_GID], capabilities: [] };
}

/** Clients and servers of the tenants. */
export const NOBODY: Privileges = {
  uid: NOBODY_UID,
  gid: NOBODY_UID,
  capabilities: [],
  bounded: ["net_raw"], // ping
};
/** For tools that observe, such as captures. */
export const ROOT: Privileges = { uid: 0, gid: 0, capabilities: "all" };

/** Returns the words in front of a program that give it exactly these privileges. */
export function formatSetpriv(privileges: Privileges): string[] {
  const { uid, gid, groups, capabilities, bounded } = privileges;
  const others = groups === undefined ? ["--clear-groups"] : ["--groups", groups.join(",")];
  const words = ["setpriv", "--reuid", String(uid), "--regid", String(gid), ...others];
  if (capabilities !== "all") {
    const only = (names: readonly string[]): string =>
      ["-all", ...names.map((name) => `+${name}`)].join(",");
    const held = only(capabilities);
    const bounding = only([...capabilities, ...(bounded ?? [])]);
    words.push(`--inh-caps=${held}`, `--ambient-caps=${held}`, `--bounding-set=${bounding}`);
  }
  // The last wrapper sets the death signal: a change of identity would clear it.
  return [...words, "--no-new-privs", "--pdeathsig", "KILL", "--"];
}
