/**
 * What nat, lb and firewall give to the appliance, and what they get from it.
 *
 * Pure: types only. The three never see each other; src/appliance composes their fragments.
 */

import type { Result } from "../base/result.ts";
import type { ConntrackEntry } from "../conntrack/entry.ts";
import type { IpPrefix, MacAddress } from "../inet/address.ts";

export type ServiceName = "nat" | "lb" | "firewall";

/** One interface of the appliance. */
export interface ApplianceInterface {
  readonly name: string;
  /** The interface's number in the ct mark (1-255). */
  readonly markIndex: number;
  readonly mac: MacAddress;
  readonly mtuBytes: number;
  readonly prefixes: readonly IpPrefix[];
}

export interface ServiceContext {
  readonly interfaces: readonly ApplianceInterface[];
  /** Ports where the appliance listens for NETCONF over SSH in its own namespace. */
  readonly netconfPorts?: readonly number[];
}

/** Configuration that libyang accepts but that cannot be carried out. */
export interface ConfigProblem {
  readonly kind: "config-not-applicable";
  /** Instance path as in rpc-error's error-path. */
  readonly path: string;
  readonly message: string;
}

/** RFC 7951 data of the whole running configuration: top-level members are `module:name`. */
export type ConfigData = Readonly<Record<string, unknown>>;

/** Which rule admitted a flow at one of its attachment points. */
export interface AdmittingRule {
  readonly attachment: string;
  readonly direction: "ingress" | "egress";
  readonly name: string;
}

/** What a service says about one live flow under the present configuration. */
export interface ServiceJudgement {
  /** "silent": this service has no opinion about the flow. */
  readonly verdict: "allowed" | "forbidden" | "silent";
  /** False when per-packet policy applies to the flow, so that it must stay on the slow path. */
  readonly eligible: boolean;
  readonly ineligibleReason?: string;
  readonly rules: readonly AdmittingRule[];
  /** Identifies the policy object that the flow hangs on (rule, mapping, server), for targeted withdrawal. */
  readonly policyTag: number;
}

/** Where the original direction of a flow entered and left the appliance. */
export interface FlowPlace {
  readonly ingressInterface: string | undefined;
  readonly egressInterface: string | undefined;
}

/** The judgement of all services together. */
export interface FlowJudgement {
  readonly allowed: boolean;
  readonly service: "nat" | "lb" | "firewall";
  readonly eligible: boolean;
  readonly ineligibleReason?: string;
  readonly rules: readonly AdmittingRule[];
  readonly policyTag: number;
}

export type JudgeFlow = (entry: ConntrackEntry, place: FlowPlace) => FlowJudgement;

/** One function of the appliance; `Config` is its typed configuration, `Fragment` its part of the ruleset. */
export interface ServiceProvider<Config, Fragment> {
  readonly name: ServiceName;
  parseConfig(data: ConfigData, context: ServiceContext): Result<Config, ConfigProblem>;
  compile(config: Config, context: ServiceContext): Fragment;
  judge(config: Config, entry: ConntrackEntry, place: FlowPlace): ServiceJudgement;
}
