/**
 * Turns kernel counters into the firewall's operational data.
 *
 * Pure. A counter counts first packets: what the ACE judged. The rest of an accepted connection rides on its
 * state and is counted there.
 */
import type { CounterValue } from "../lib/nft/transaction.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { Attachment, FirewallConfig } from "./config.ts";
import { aceCounter, policyAceCounter, policyCounter } from "./counters.ts";

type Counters = ReadonlyMap<string, CounterValue>;
const ZERO: CounterValue = { packets: 0n, bytes: 0n };

/** Returns RFC 7951 data: keys and `config false` leaves only. */
export function readFirewallState(config: FirewallConfig, counters: Counters): ConfigData {
  const points = interfacesOf(config).map((id) => ({
    "interface-id": id,
    ...attachmentState(config, id, "ingress", counters),
    ...attachmentState(config, id, "egress", counters),
  }));
  const acls = aggregateState(config, counters);
  const zones = config.zones;
  return {
    ...(acls.length === 0
      ? {}
      : {
          "ietf-access-control-list:acls": {
            acl: acls,
            ...(points.length === 0 ? {} : { "attachment-points": { interface: points } }),
          },
        }),
    ...(zones === undefined
      ? {}
      : {
          "flowlift-zones:zones": {
            policy: zones.policies.map((policy) => ({
              name: policy.name,
              statistics: format(counters.get(policyCounter(policy)) ?? ZERO),
            })),
          },
        }),
  };
}

function format(value: CounterValue) {
  return { "matched-packets": `${value.packets}`, "matched-octets": `${value.bytes}` };
}

function interfacesOf(config: FirewallConfig): string[] {
  return [...new Set(config.attachments.map((attachment) => attachment.interfaceName as string))];
}

function attachmentState(
  config: FirewallConfig,
  id: string,
  direction: "ingress" | "egress",
  counters: Counters,
): Record<string, unknown> {
  const attachment = config.attachments.find(
    (candidate) => candidate.interfaceName === id && candidate.direction === direction,
  );
  if (attachment === undefined) return {};
  const sets = attachment.acls.map((acl) => ({
    name: acl.name,
    "ace-statistics": acl.aces.map((ace) => ({
      name: ace.name,
      ...format(counters.get(aceCounter(attachment, acl.name, ace.name)) ?? ZERO),
    })),
  }));
  return { [direction]: { "acl-sets": { "acl-set": sets } } };
}

/** For each ACE the sum over all its attachments and zone policies. */
function aggregateState(config: FirewallConfig, counters: Counters) {
  const sums = new Map<string, Map<string, CounterValue>>();
  const add = (acl: string, ace: string, value: CounterValue): void => {
    const aces = sums.get(acl) ?? new Map<string, CounterValue>();
    const old = aces.get(ace) ?? ZERO;
    aces.set(ace, { packets: old.packets + value.packets, bytes: old.bytes + value.bytes });
    sums.set(acl, aces);
  };
  const addAll = (acls: Attachment["acls"], name: (acl: string, ace: string) => string): void => {
    for (const acl of acls) {
      for (const ace of acl.aces) {
        add(acl.name, ace.name, counters.get(name(acl.name, ace.name)) ?? ZERO);
      }
    }
  };
  for (const attachment of config.attachments) {
    addAll(attachment.acls, (acl, ace) => aceCounter(attachment, acl, ace));
  }
  for (const policy of config.zones?.policies ?? []) {
    addAll(policy.acls, (acl, ace) => policyAceCounter(policy, acl, ace));
  }
  return [...sums].map(([name, aces]) => ({
    name,
    aces: {
      ace: [...aces].map(([ace, value]) => ({ name: ace, statistics: format(value) })),
    },
  }));
}
