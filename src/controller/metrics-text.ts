/** The controller's metrics as Prometheus reads them. Pure, but for asking each driver's last totals. */
import type { Controller } from "./controller.ts";
import { type CounterFamily, formatLabels, formatMetric } from "./metrics.ts";

/** Returns the whole text. */
export async function formatMetrics(controller: Controller): Promise<string> {
  const parts = [...listOwnMetrics(controller), ...(await listDriverMetrics(controller))];
  return parts.join("");
}

function listOwnMetrics(controller: Controller): string[] {
  const { metrics } = controller.ledger;
  const count = (name: string, help: string, family: CounterFamily): string =>
    formatMetric(name, "counter", help, family.format(name));
  const time = "flowlift_time_to_active_seconds";
  return [
    formatMetric(
      "flowlift_flows",
      "gauge",
      "Flows held, by tenant, virtual machine and state.",
      listFlowGauges(controller),
    ),
    count("flowlift_refusals_total", "Flows refused, by reason.", metrics.refusals),
    count(
      "flowlift_flow_events_total",
      "Events told to virtual machines; detail is the cause of an end.",
      metrics.events,
    ),
    formatMetric(
      time,
      "histogram",
      "From the arrival of a request to the confirmation of the fast path.",
      metrics.timeToActive.format(time),
    ),
    count(
      "flowlift_requests_total",
      "Messages from virtual machines, by operation.",
      metrics.requests,
    ),
    count("flowlift_rpc_errors_total", "Messages answered by rpc-error.", metrics.rpcErrors),
    count("flowlift_stamps_refused_total", "Calls of bridges refused.", metrics.stampsRefused),
    count("flowlift_bridge_limits_total", "What bridges dropped.", metrics.bridgeLimits),
    formatMetric(
      "flowlift_validator_disagreements_total",
      "counter",
      "Messages that libyang accepted and the decoder refused.",
      [`flowlift_validator_disagreements_total ${controller.validator.disagreements}`],
    ),
    formatMetric("flowlift_sessions", "gauge", "Open sessions of virtual machines.", [
      `flowlift_sessions ${controller.sessionCount}`,
    ]),
  ];
}

function listFlowGauges(controller: Controller): string[] {
  return controller.listHosts().flatMap(({ core }) =>
    [...core.vms.values()].flatMap(({ vm, counts }) => {
      const { tenant, name } = vm;
      const states = {
        pending: counts.queued + counts.installing,
        active: counts.active,
        quiescing: counts.quiescing,
      };
      return Object.entries(states).map(
        ([state, count]) => `flowlift_flows${formatLabels({ tenant, vm: name, state })} ${count}`,
      );
    }),
  );
}

const SLOT_METRICS = [
  ["flowlift_vm_fast_packets_total", "fastPackets", "Wire packets forwarded by the fast path."],
  ["flowlift_vm_fast_bytes_total", "fastBytes", "Layer-3 bytes forwarded by the fast path."],
  [
    "flowlift_vm_passed_packets_total",
    "passedPackets",
    "Wire packets that the fast path gave to the virtual machine.",
  ],
  [
    "flowlift_vm_passed_bytes_total",
    "passedBytes",
    "Layer-3 bytes that the fast path gave to the virtual machine.",
  ],
] as const;

async function listDriverMetrics(controller: Controller): Promise<string[]> {
  const lines = new Map<string, string[]>(SLOT_METRICS.map(([name]) => [name, []]));
  const drops: string[] = [];
  const up: string[] = [];
  for (const { core, driver } of controller.listHosts()) {
    const host = driver.host.name;
    up.push(`flowlift_driver_up${formatLabels({ host })} ${driver.isConnected ? 1 : 0}`);
    // A driver that is lost right now has no totals; the next scrape has them.
    const totals = await driver.driver?.totals().catch(() => undefined);
    if (totals === undefined) continue;
    const vms = new Map([...core.vms.values()].map(({ vm }) => [vm.slot, vm]));
    for (const slot of totals.slots) {
      const vm = vms.get(slot.vmSlot);
      if (vm === undefined) continue;
      const labels = formatLabels({ tenant: vm.tenant, vm: vm.name });
      for (const [name, member] of SLOT_METRICS) {
        lines.get(name)?.push(`${name}${labels} ${slot[member]}`);
      }
    }
    for (const [reason, count] of Object.entries(totals.drops)) {
      drops.push(`flowlift_driver_drops_total${formatLabels({ host, reason })} ${count}`);
    }
  }
  return [
    ...SLOT_METRICS.map(([name, , help]) =>
      formatMetric(name, "counter", help, lines.get(name) ?? []),
    ),
    formatMetric(
      "flowlift_driver_drops_total",
      "counter",
      "Packets that the fast path dropped, by reason.",
      drops,
    ),
    formatMetric("flowlift_driver_up", "gauge", "Whether the host's driver is connected.", up),
  ];
}
