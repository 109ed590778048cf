/**
 * The controller's configuration for a lab: RFC 7951 data of flowlift-controller.yang.
 *
 * Pure.
 */
import type { LabDefinition, LabTenant } from "./definition.ts";
import { type LabPlan, listPorts, type PlannedMachine } from "./plan.ts";

/** The lab has one host; its bridge's certificate names it. */
export const HOST_NAME = "lab-host";

export interface ControllerConfigOptions {
  /** Undefined: the driver lives in the controller's process. */
  readonly agentSocket: string | undefined;
}

/** Returns `tenant-name`, the name of an appliance towards bridge and controller. */
export function vmName(machine: { readonly tenant: string; readonly name: string }): string {
  return `${machine.tenant}-${machine.name}`;
}

/** Returns the configuration. */
export function planControllerConfig(
  definition: LabDefinition,
  plan: LabPlan,
  { agentSocket }: ControllerConfigOptions,
): Readonly<Record<string, unknown>> {
  return {
    "flowlift-controller:controller": {
      host: [
        {
          name: HOST_NAME,
          ...(agentSocket === undefined ? {} : { "agent-socket": agentSocket }),
          port: listPorts(plan).map((port) => ({
            interface: port.interfaceName,
            tenant: port.tenant,
            segment: port.segment,
          })),
        },
      ],
      tenant: definition.tenants.map((tenant) => planTenant(tenant, plan)),
    },
  };
}

function planTenant(tenant: LabTenant, plan: LabPlan): Readonly<Record<string, unknown>> {
  const appliances = plan.machines.filter(
    (machine) => machine.kind === "appliance" && machine.tenant === tenant.name,
  );
  return {
    name: tenant.name,
    segment: tenant.segments.map(({ name, prefixes, transit }) => ({
      name,
      prefix: prefixes,
      transit,
    })),
    "external-pool": tenant.externalPools.map(({ name, prefix, segment, ports }) => ({
      name,
      prefix,
      segment,
      ...(ports === undefined ? {} : { "lower-port": ports.lower, "upper-port": ports.upper }),
    })),
    "virtual-machine": appliances.map(planVirtualMachine),
  };
}

function planVirtualMachine(machine: PlannedMachine): Readonly<Record<string, unknown>> {
  return {
    name: vmName(machine),
    host: HOST_NAME,
    vnic: machine.interfaces.map(({ mac, segment, port }) => ({
      mac,
      segment,
      port: port.interfaceName,
    })),
  };
}
