/**
 * Configuration of flowlift-controller, as RFC 7951 JSON that libyang has validated.
 *
 * Pure: types only. Generated from the module by test/yang/schema-types.test.ts; do not edit.
 */

export interface FlowliftControllerData {
  readonly "flowlift-controller:controller"?: Controller;
}

export interface Controller {
  readonly lease?: number;
  readonly host?: readonly ControllerHost[];
  readonly tenant?: readonly ControllerTenant[];
}

export interface ControllerHost {
  readonly name: string;
  readonly "agent-socket"?: string;
  readonly port?: readonly ControllerHostPort[];
}

export interface ControllerHostPort {
  readonly interface: string;
  readonly tenant: string;
  readonly segment: string;
  readonly "static-neighbour"?: readonly string[];
}

export interface ControllerTenant {
  readonly name: string;
  readonly segment?: readonly ControllerTenantSegment[];
  readonly "external-pool"?: readonly ControllerTenantExternalPool[];
  readonly "virtual-machine"?: readonly ControllerTenantVirtualMachine[];
}

export interface ControllerTenantSegment {
  readonly name: string;
  readonly prefix?: readonly string[];
  readonly transit?: boolean;
}

export interface ControllerTenantExternalPool {
  readonly name: string;
  readonly prefix: string;
  readonly "lower-port"?: number;
  readonly "upper-port"?: number;
  readonly segment: string;
}

export interface ControllerTenantVirtualMachine {
  readonly name: string;
  readonly host: string;
  readonly "offload-port"?: ControllerTenantVirtualMachineOffloadPort;
  readonly vnic?: readonly ControllerTenantVirtualMachineVnic[];
  readonly quota?: ControllerTenantVirtualMachineQuota;
}

export interface ControllerTenantVirtualMachineOffloadPort {
  readonly socket: string;
  readonly mode?: "connect" | "listen";
}

export interface ControllerTenantVirtualMachineVnic {
  readonly mac: string;
  readonly segment: string;
  readonly port: string;
}

export interface ControllerTenantVirtualMachineQuota {
  readonly "flows-max"?: number;
  readonly "requests-per-second"?: number;
  readonly "request-burst"?: number;
  readonly "batch-max"?: number;
  readonly "idle-timeout-min"?: number;
  readonly "idle-timeout-max"?: number;
  readonly "one-way"?: boolean;
}
