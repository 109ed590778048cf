/**
 * The bridge of one host: a serial port for each virtual machine, one channel to the controller.
 *
 * Effect: sockets and one gRPC channel with mutual TLS. It needs no privilege and knows no flow: who a
 * message is from follows from the socket it came through. Sockets are named by the settings, or by the
 * controller below the directory that the settings allow.
 */
import type { Log } from "../lib/base/log.ts";
import { Channel } from "./channel.ts";
import { LinkSet } from "./link-set.ts";
import { PlacedLinks } from "./placed-links.ts";
import { PlacementWatch } from "./placement-watch.ts";
import type { BridgeSettings } from "./settings.ts";
import { resolveSocketPath } from "./socket-place.ts";
import type { VmCounters } from "./vm-core.ts";

/** How often counters of refusals are told in the log, if there are new ones. */
const REPORT_INTERVAL_MS = 10_000;

export interface Bridge {
  /** Counters by `tenant/vm`. */
  counters(): ReadonlyMap<string, VmCounters>;
  /** Looks at the certificate files now; they are looked at now and then anyway. */
  reload(): void;
  close(): Promise<void>;
}

/** Serves until closed. Throws CERTIFICATE_INVALID, PORT_IN_USE, SERIAL_PORT_FAILED. */
export async function startBridge(settings: BridgeSettings, log: Log): Promise<Bridge> {
  const channel = new Channel(settings, log);
  const links = new LinkSet(channel, settings.limits, log);
  try {
    for (const vm of settings.vms) await links.add(vm);
  } catch (error) {
    await links.close();
    channel.close();
    throw error;
  }
  const placed = watchPlacements(settings, channel, links, log);
  channel.onRenewed = () => {
    links.callAgain();
    placed?.callAgain();
  };
  const report = setInterval(() => links.reportRefusals(), REPORT_INTERVAL_MS);
  return {
    counters: () => links.counters(),
    reload: () => channel.reload(),
    async close() {
      clearInterval(report);
      await placed?.close();
      await links.close();
      channel.close();
    },
  };
}

/** Without a directory in the settings, the controller has no say in what is opened. */
function watchPlacements(
  { socketDirectory }: BridgeSettings,
  channel: Channel,
  links: LinkSet,
  log: Log,
): { callAgain(): void; close(): Promise<void> } | undefined {
  if (socketDirectory === undefined) return undefined;
  const placed = new PlacedLinks({
    links,
    resolve: (path) => resolveSocketPath(path, socketDirectory),
    onProblems: (problems) => watch.report(problems),
    log,
  });
  const watch = new PlacementWatch({
    source: channel,
    log,
    onPlacements: (placements) => placed.take(placements),
    problems: () => placed.problems,
  });
  watch.start();
  return {
    callAgain: () => watch.callAgain(),
    async close() {
      watch.stop();
      await placed.close();
    },
  };
}
