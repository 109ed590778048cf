/** State that the server tells of itself, as RFC 7951 data. Pure: (facts) => data. */
import type { ConfigStore } from "./config-store.ts";
import type { EventBus } from "./core/event-bus.ts";
import { STREAM_NETCONF } from "./core/event-bus.ts";
import type { DeniedCounters } from "./core/nacm.ts";
import { historyState } from "./history-operations.ts";
import type { StateProvider } from "./operational.ts";

export function listProviders(
  store: ConfigStore,
  bus: EventBus,
  denied: DeniedCounters,
): StateProvider[] {
  return [
    {
      name: "nacm",
      namespace: "urn:ietf:params:xml:ns:yang:ietf-netconf-acm",
      read: () => ({
        "ietf-netconf-acm:nacm": {
          "denied-operations": denied.operations,
          "denied-data-writes": denied.writes,
          "denied-notifications": denied.notifications,
        },
      }),
    },
    {
      name: "netconf",
      namespace: "urn:ietf:params:xml:ns:netmod:notification",
      read: () => ({ "nc-notifications:netconf": { streams: { stream: [streamState(bus)] } } }),
    },
    {
      name: "history",
      namespace: "urn:flowlift:history",
      read: () => historyState(store),
    },
  ];
}

function streamState(bus: EventBus): Readonly<Record<string, unknown>> {
  return {
    name: STREAM_NETCONF,
    description: "All events of this server",
    replaySupport: true,
    replayLogCreationTime: bus.startedAt.toISOString(),
    ...(bus.agedAt === undefined ? {} : { replayLogAgedTime: bus.agedAt.toISOString() }),
  };
}
