/** What a running lab tells about itself: `lab up --json` prints it, state.json keeps it. Pure: types only. */
import type { Accelerator } from "../lib/guest/vm-spec.ts";
import type { ProcessRecord } from "./process-record.ts";

export interface ApplianceDescription {
  readonly name: string;
  readonly tenant: string;
  /** `tenant-name`: what bridge and controller call it. */
  readonly vm: string;
  /** Of a VM: the host's, where its taps are. */
  readonly netns: string;
  /** Absent for a bare machine. */
  readonly netconf?: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly keyFile: string;
    /** `algorithm base64`, as in a known_hosts file. */
    readonly hostKey: string;
  };
  /** The bridge listens here; whoever connects is this VM. */
  readonly serialSocket: string;
  /** QEMU listens here: the VM's management port. Absent where the appliance is no VM. */
  readonly manageSocket?: string;
  /** Absent where the appliance is no VM. */
  readonly machine?: MachineDescription;
  readonly interfaces: readonly InterfaceDescription[];
}

/** A VM as its host sees it. */
export interface MachineDescription {
  readonly accelerator: Accelerator;
  /** Why, in words. */
  readonly acceleratorReason: string;
  readonly imageVersion: string;
  readonly memoryMib: number;
  readonly qmpSocket: string;
  readonly dataDisk: string;
  /** The last CONSOLE_BYTES_MAX bytes of its serial console, and as many before in `.1`. */
  readonly consoleFile: string;
}

export interface InterfaceDescription {
  readonly name: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly segment: string;
  /** Its other end, in the host's namespace. */
  readonly hostPort: string;
}

export interface HostDescription {
  readonly name: string;
  readonly tenant: string;
  readonly netns: string;
  /** Without prefix length. */
  readonly addresses: readonly string[];
  readonly mac: string;
  readonly segment: string;
  readonly interface: string;
  readonly hostPort: string;
}

export interface LabDescription {
  readonly name: string;
  readonly tenants: readonly string[];
  readonly appliances: readonly ApplianceDescription[];
  readonly hosts: readonly HostDescription[];
  readonly controller?: {
    readonly adminUrl: string;
    readonly tokenFile: string;
    /** Where the controller's NETCONF is, as JSON: for `--connection`. */
    readonly connectionFile: string;
  };
  /** The namespace that plays the host. */
  readonly host: {
    readonly netns: string;
    readonly segments: readonly {
      readonly tenant: string;
      readonly name: string;
      readonly bridge: string;
    }[];
  };
  readonly agent?: { readonly socketPath: string; readonly pinDirectory: string };
  readonly logDirectory: string;
}

export interface ProcessDescription {
  readonly name: string;
  readonly state: string;
  readonly record?: ProcessRecord;
  readonly restartCount: number;
}

/** The content of state.json. */
export interface LabState {
  readonly version: 1;
  readonly name: string;
  /** The kernel's boot id: after a reboot no recorded process or namespace exists. */
  readonly bootId: string;
  readonly supervisor: ProcessRecord;
  readonly status: "starting" | "running" | "stopping";
  readonly netnsDirectoryWasMounted: boolean;
  readonly namespaces: readonly string[];
  readonly holders: readonly ProcessRecord[];
  readonly processes: readonly ProcessDescription[];
  readonly description?: LabDescription;
}
