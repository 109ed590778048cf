/**
 * The bridge of one host: a serial port for each virtual machine, one channel to the controller.
 *
 * Effect: sockets and one gRPC channel with mutual TLS. It needs no privilege and knows no flow: who a
 * message is from follows from the socket it came through. Sockets are named by the settings, or by the
 * controller below the directory that the settings allow.
 */
import { Client, credentials } from "@grpc/grpc-js";
import type { Log } from "../lib/base/log.ts";
import { loadBridgeTls } from "../lib/pki/store.ts";
import { UPSTREAM_CHANNEL_OPTIONS } from "../offload-protocol/upstream.ts";
import { LinkSet } from "./link-set.ts";
import { PlacedLinks } from "./placed-links.ts";
import { PlacementWatch } from "./placement-watch.ts";
import type { BridgeSettings } from "./settings.ts";
import { resolveSocketPath } from "./socket-place.ts";
import type { VmCounters } from "./vm-core.ts";

const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 2_000;
/** A controller that does not answer a ping for this long is gone. */
const KEEPALIVE_MS = 10_000;
/** How often counters of refusals are told in the log, if there are new ones. */
const REPORT_INTERVAL_MS = 10_000;

export interface Bridge {
  /** Counters by `tenant/vm`. */
  counters(): ReadonlyMap<string, VmCounters>;
  close(): Promise<void>;
}

/** Serves until closed. Throws CERTIFICATE_INVALID, PORT_IN_USE, SERIAL_PORT_FAILED. */
export async function startBridge(settings: BridgeSettings, log: Log): Promise<Bridge> {
  const client = createClient(settings);
  const links = new LinkSet(client, settings.limits, log);
  try {
    for (const vm of settings.vms) await links.add(vm);
  } catch (error) {
    await links.close();
    client.close();
    throw error;
  }
  const placed = watchPlacements(settings, client, links, log);
  const report = setInterval(() => links.reportRefusals(), REPORT_INTERVAL_MS);
  return {
    counters: () => links.counters(),
    async close() {
      clearInterval(report);
      await placed?.close();
      await links.close();
      client.close();
    },
  };
}

/** Without a directory in the settings, the controller has no say in what is opened. */
function watchPlacements(
  { socketDirectory }: BridgeSettings,
  client: Client,
  links: LinkSet,
  log: Log,
): { close(): Promise<void> } | undefined {
  if (socketDirectory === undefined) return undefined;
  const placed = new PlacedLinks({
    links,
    resolve: (path) => resolveSocketPath(path, socketDirectory),
    onProblems: (problems) => watch.report(problems),
    log,
  });
  const watch = new PlacementWatch({
    client,
    log,
    onPlacements: (placements) => placed.take(placements),
    problems: () => placed.problems,
  });
  watch.start();
  return {
    async close() {
      watch.stop();
      await placed.close();
    },
  };
}

function createClient(settings: BridgeSettings): Client {
  const tls = loadBridgeTls(settings.pkiDirectory, settings.hostName);
  const secure = credentials.createSsl(
    Buffer.from(tls.authority),
    Buffer.from(tls.key),
    Buffer.from(tls.certificate),
  );
  return new Client(settings.controllerAddress, secure, {
    ...UPSTREAM_CHANNEL_OPTIONS,
    // The certificate carries the controller's name, whatever address it is reached at.
    "grpc.ssl_target_name_override": tls.controllerName,
    "grpc.default_authority": tls.controllerName,
    "grpc.initial_reconnect_backoff_ms": RECONNECT_MIN_MS,
    "grpc.max_reconnect_backoff_ms": RECONNECT_MAX_MS,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_MS,
    "grpc.enable_retries": 0,
  });
}
