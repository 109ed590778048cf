/** A lab's description and status as text for a person. Pure. */
import type { LabDescription, ProcessDescription } from "./description.ts";

export interface LabStatus {
  readonly name: string;
  readonly status: "starting" | "running" | "stopping" | "dead";
  readonly processes: readonly ProcessDescription[];
  readonly description?: LabDescription;
}

/** Returns what `lab up` prints. */
export function formatDescription(lab: LabDescription): string {
  const lines = [`lab "${lab.name}" is up`];
  for (const appliance of lab.appliances) {
    const { netconf } = appliance;
    const how =
      netconf === undefined
        ? `serial port ${appliance.serialSocket}`
        : `ssh -i ${netconf.keyFile} -p ${netconf.port} -s ${netconf.user}@${netconf.host} netconf`;
    lines.push(`  ${appliance.tenant}/${appliance.name}  ${how}`);
    const { machine } = appliance;
    if (machine !== undefined) {
      const by = machine.accelerator === "kvm" ? "KVM" : "emulation";
      lines.push(
        `    a VM under ${by}, image ${machine.imageVersion}, console ${machine.consoleFile}`,
      );
    }
  }
  for (const host of lab.hosts) {
    lines.push(`  ${host.tenant}/${host.name}  ${host.addresses.join(" ")}  netns ${host.netns}`);
  }
  if (lab.controller !== undefined) {
    lines.push(`  controller  ${lab.controller.adminUrl}  token in ${lab.controller.tokenFile}`);
  }
  return lines.join("\n");
}

/** Returns what `lab status` prints. */
export function formatStatus(labs: readonly LabStatus[]): string {
  if (labs.length === 0) return "no lab";
  return labs
    .map((lab) => {
      const processes = lab.processes.map(({ name, state, record, restartCount }) => {
        const pid = record === undefined ? "" : ` pid ${record.pid}`;
        const restarts = restartCount === 0 ? "" : ` restarted ${restartCount} times`;
        return `  ${name}  ${state}${pid}${restarts}`;
      });
      return [`lab "${lab.name}" is ${lab.status}`, ...processes].join("\n");
    })
    .join("\n");
}
