/**
 * Configuration of ietf-nat, as RFC 7951 JSON that libyang has validated.
 *
 * Pure: types only. Generated from the module by test/yang/schema-types.test.ts; do not edit.
 */

export interface IetfNatData {
  readonly "ietf-nat:nat"?: Nat;
}

export interface Nat {
  readonly instances?: NatInstances;
}

export interface NatInstances {
  readonly instance?: readonly NatInstancesInstance[];
}

export interface NatInstancesInstance {
  readonly id: number;
  readonly name?: string;
  readonly enable?: boolean;
  readonly type?: string;
  readonly "per-interface-binding"?: "disabled" | "layer-2" | "dslite";
  readonly "nat-pass-through"?: readonly NatInstancesInstanceNatPassThrough[];
  readonly policy?: readonly NatInstancesInstancePolicy[];
  readonly "mapping-limits"?: NatInstancesInstanceMappingLimits;
  readonly "connection-limits"?: NatInstancesInstanceConnectionLimits;
  readonly "notification-limits"?: NatInstancesInstanceNotificationLimits;
  readonly "mapping-table"?: NatInstancesInstanceMappingTable;
}

export interface NatInstancesInstanceNatPassThrough {
  readonly id: number;
  readonly prefix: string;
  readonly port?: number;
}

export interface NatInstancesInstancePolicy {
  readonly id: number;
  readonly "clat-parameters"?: NatInstancesInstancePolicyClatParameters;
  readonly "nptv6-prefixes"?: readonly NatInstancesInstancePolicyNptv6Prefixes[];
  readonly eam?: readonly NatInstancesInstancePolicyEam[];
  readonly "nat64-prefixes"?: readonly NatInstancesInstancePolicyNat64Prefixes[];
  readonly "external-ip-address-pool"?: readonly NatInstancesInstancePolicyExternalIpAddressPool[];
  readonly "port-set-restrict"?: NatInstancesInstancePolicyPortSetRestrict;
  readonly "dst-nat-enable"?: boolean;
  readonly "dst-ip-address-pool"?: readonly NatInstancesInstancePolicyDstIpAddressPool[];
  readonly "transport-protocols"?: readonly NatInstancesInstancePolicyTransportProtocols[];
  readonly "subscriber-mask-v6"?: number;
  readonly "subscriber-match"?: readonly NatInstancesInstancePolicySubscriberMatch[];
  readonly "address-allocation-type"?: "arbitrary" | "roundrobin" | "paired";
  readonly "port-allocation-type"?: "random" | "port-preservation" | "port-parity-preservation" | "port-range-allocation";
  readonly "mapping-type"?: "eim" | "adm" | "edm";
  readonly "filtering-type"?: "eif" | "adf" | "edf";
  readonly "fragment-behavior"?: "drop-all" | "in-order" | "out-of-order";
  readonly "port-quota"?: readonly NatInstancesInstancePolicyPortQuota[];
  readonly "port-set"?: NatInstancesInstancePolicyPortSet;
  readonly timers?: NatInstancesInstancePolicyTimers;
  readonly "fragments-limit"?: number;
  readonly algs?: readonly NatInstancesInstancePolicyAlgs[];
  readonly "all-algs-enable"?: boolean;
  readonly "notify-pool-usage"?: NatInstancesInstancePolicyNotifyPoolUsage;
  readonly "external-realm"?: NatInstancesInstancePolicyExternalRealm;
}

export interface NatInstancesInstancePolicyClatParameters {
  readonly "clat-ipv6-prefixes"?: readonly NatInstancesInstancePolicyClatParametersClatIpv6Prefixes[];
  readonly "ipv4-prefixes"?: readonly NatInstancesInstancePolicyClatParametersIpv4Prefixes[];
}

export interface NatInstancesInstancePolicyClatParametersClatIpv6Prefixes {
  readonly "ipv6-prefix": string;
}

export interface NatInstancesInstancePolicyClatParametersIpv4Prefixes {
  readonly "ipv4-prefix": string;
}

export interface NatInstancesInstancePolicyNptv6Prefixes {
  readonly "internal-ipv6-prefix": string;
  readonly "external-ipv6-prefix": string;
}

export interface NatInstancesInstancePolicyEam {
  readonly "ipv4-prefix": string;
  readonly "ipv6-prefix": string;
}

export interface NatInstancesInstancePolicyNat64Prefixes {
  readonly "nat64-prefix": string;
  readonly "destination-ipv4-prefix"?: readonly NatInstancesInstancePolicyNat64PrefixesDestinationIpv4Prefix[];
  readonly "stateless-enable"?: boolean;
}

export interface NatInstancesInstancePolicyNat64PrefixesDestinationIpv4Prefix {
  readonly "ipv4-prefix": string;
}

export interface NatInstancesInstancePolicyExternalIpAddressPool {
  readonly "pool-id": number;
  readonly "external-ip-pool": string;
}

export interface NatInstancesInstancePolicyPortSetRestrict {
  readonly "start-port-number"?: number;
  readonly "end-port-number"?: number;
  readonly "psid-offset"?: number;
  readonly "psid-len"?: number;
  readonly psid?: number;
}

export interface NatInstancesInstancePolicyDstIpAddressPool {
  readonly "pool-id": number;
  readonly "dst-in-ip-pool"?: string;
  readonly "dst-out-ip-pool": string;
}

export interface NatInstancesInstancePolicyTransportProtocols {
  readonly "protocol-id": number;
  readonly "protocol-name"?: string;
}

export interface NatInstancesInstancePolicySubscriberMatch {
  readonly "match-id": number;
  readonly subnet: string;
}

export interface NatInstancesInstancePolicyPortQuota {
  readonly "port-limit"?: number;
  readonly "quota-type": number;
}

export interface NatInstancesInstancePolicyPortSet {
  readonly "port-set-size": number;
  readonly "port-set-timeout"?: number;
}

export interface NatInstancesInstancePolicyTimers {
  readonly "udp-timeout"?: number;
  readonly "tcp-idle-timeout"?: number;
  readonly "tcp-trans-open-timeout"?: number;
  readonly "tcp-trans-close-timeout"?: number;
  readonly "tcp-in-syn-timeout"?: number;
  readonly "fragment-min-timeout"?: number;
  readonly "icmp-timeout"?: number;
  readonly "per-port-timeout"?: readonly NatInstancesInstancePolicyTimersPerPortTimeout[];
  readonly "hold-down-timeout"?: number;
  readonly "hold-down-max"?: number;
}

export interface NatInstancesInstancePolicyTimersPerPortTimeout {
  readonly "port-number": number;
  readonly protocol?: number;
  readonly timeout: number;
}

export interface NatInstancesInstancePolicyAlgs {
  readonly name: string;
  readonly "transport-protocol"?: number;
  readonly "dst-transport-port"?: NatInstancesInstancePolicyAlgsDstTransportPort;
  readonly "src-transport-port"?: NatInstancesInstancePolicyAlgsSrcTransportPort;
  readonly status?: boolean;
}

export interface NatInstancesInstancePolicyAlgsDstTransportPort {
  readonly "start-port-number"?: number;
  readonly "end-port-number"?: number;
}

export interface NatInstancesInstancePolicyAlgsSrcTransportPort {
  readonly "start-port-number"?: number;
  readonly "end-port-number"?: number;
}

export interface NatInstancesInstancePolicyNotifyPoolUsage {
  readonly "pool-id"?: number;
  readonly "low-threshold"?: number;
  readonly "high-threshold"?: number;
  readonly "notify-interval"?: number;
}

export interface NatInstancesInstancePolicyExternalRealm {
  readonly "external-interface"?: string | number | boolean;
}

export interface NatInstancesInstanceMappingLimits {
  readonly "limit-subscribers"?: number;
  readonly "limit-address-mappings"?: number;
  readonly "limit-port-mappings"?: number;
  readonly "limit-per-protocol"?: readonly NatInstancesInstanceMappingLimitsLimitPerProtocol[];
}

export interface NatInstancesInstanceMappingLimitsLimitPerProtocol {
  readonly "protocol-id": number;
  readonly limit?: number;
}

export interface NatInstancesInstanceConnectionLimits {
  readonly "limit-per-subscriber"?: number;
  readonly "limit-per-instance"?: number;
  readonly "limit-per-protocol"?: readonly NatInstancesInstanceConnectionLimitsLimitPerProtocol[];
}

export interface NatInstancesInstanceConnectionLimitsLimitPerProtocol {
  readonly "protocol-id": number;
  readonly limit?: number;
}

export interface NatInstancesInstanceNotificationLimits {
  readonly "notify-interval"?: number;
  readonly "notify-addresses-usage"?: number;
  readonly "notify-ports-usage"?: number;
  readonly "notify-subscribers-limit"?: number;
}

export interface NatInstancesInstanceMappingTable {
  readonly "mapping-entry"?: readonly NatInstancesInstanceMappingTableMappingEntry[];
}

export interface NatInstancesInstanceMappingTableMappingEntry {
  readonly index: number;
  readonly type?: "static" | "dynamic-implicit" | "dynamic-explicit";
  readonly "transport-protocol"?: number;
  readonly "internal-src-address"?: string;
  readonly "internal-src-port"?: NatInstancesInstanceMappingTableMappingEntryInternalSrcPort;
  readonly "external-src-address"?: string;
  readonly "external-src-port"?: NatInstancesInstanceMappingTableMappingEntryExternalSrcPort;
  readonly "internal-dst-address"?: string;
  readonly "internal-dst-port"?: NatInstancesInstanceMappingTableMappingEntryInternalDstPort;
  readonly "external-dst-address"?: string;
  readonly "external-dst-port"?: NatInstancesInstanceMappingTableMappingEntryExternalDstPort;
  readonly lifetime?: number;
}

export interface NatInstancesInstanceMappingTableMappingEntryInternalSrcPort {
  readonly "start-port-number"?: number;
  readonly "end-port-number"?: number;
}

export interface NatInstancesInstanceMappingTableMappingEntryExternalSrcPort {
  readonly "start-port-number"?: number;
  readonly "end-port-number"?: number;
}

export interface NatInstancesInstanceMappingTableMappingEntryInternalDstPort {
  readonly "start-port-number"?: number;
  readonly "end-port-number"?: number;
}

export interface NatInstancesInstanceMappingTableMappingEntryExternalDstPort {
  readonly "start-port-number"?: number;
  readonly "end-port-number"?: number;
}
