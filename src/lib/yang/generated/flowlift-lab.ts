/**
 * Configuration of flowlift-lab, as RFC 7951 JSON that libyang has validated.
 *
 * Pure: types only. Generated from the module by test/yang/schema-types.test.ts; do not edit.
 */

export interface FlowliftLabData {
  readonly "flowlift-lab:lab"?: Lab;
}

export interface Lab {
  readonly name?: string;
  readonly "admin-port"?: number;
  readonly tenant?: readonly LabTenant[];
}

export interface LabTenant {
  readonly name: string;
  readonly segment?: readonly LabTenantSegment[];
  readonly "external-pool"?: readonly LabTenantExternalPool[];
  readonly appliance?: readonly LabTenantAppliance[];
  readonly host?: readonly LabTenantHost[];
}

export interface LabTenantSegment {
  readonly name: string;
  readonly prefix?: readonly string[];
  readonly transit?: boolean;
}

export interface LabTenantExternalPool {
  readonly name: string;
  readonly prefix: string;
  readonly "lower-port"?: number;
  readonly "upper-port"?: number;
  readonly segment: string;
}

export interface LabTenantAppliance {
  readonly name: string;
  readonly processes?: boolean;
  readonly "netconf-port"?: number;
  readonly interface?: readonly LabTenantApplianceInterface[];
  readonly configuration?: unknown;
  readonly route?: readonly LabTenantApplianceRoute[];
}

export interface LabTenantApplianceInterface {
  readonly name: string;
  readonly segment: string;
  readonly address?: readonly string[];
  readonly mac?: string;
}

export interface LabTenantApplianceRoute {
  readonly destination: string;
  readonly "next-hop": string;
}

export interface LabTenantHost {
  readonly name: string;
  readonly segment: string;
  readonly address?: readonly string[];
  readonly mac?: string;
  readonly "local-prefix"?: readonly string[];
  readonly route?: readonly LabTenantHostRoute[];
}

export interface LabTenantHostRoute {
  readonly destination: string;
  readonly "next-hop": string;
}
