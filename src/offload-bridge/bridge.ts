/**
 * The bridge of one host: a serial port for each virtual machine, one channel to the controller.
 *
 * Effect: sockets and one gRPC channel with mutual TLS. It needs no privilege and knows no flow: who a
 * message is from follows from the socket it came through, and from this file's settings alone.
 */
import { Client, credentials } from "@grpc/grpc-js";
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import type { Log } from "../lib/base/log.ts";
import { loadBridgeTls } from "../lib/pki/store.ts";
import { openSerialPort } from "../lib/serial/open-port.ts";
import type { SerialPort } from "../lib/serial/port.ts";
import { UPSTREAM_CHANNEL_OPTIONS } from "../offload-protocol/upstream.ts";
import type { BridgeSettings, BridgeVm } from "./settings.ts";
import { UpstreamCall } from "./upstream-call.ts";
import { VmCore, type VmCounters } from "./vm-core.ts";

const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 2_000;
/** A controller that does not answer a ping for this long is gone. */
const KEEPALIVE_MS = 10_000;
/** How often counters of refusals are told in the log, if there are new ones. */
const REPORT_INTERVAL_MS = 10_000;

interface Link {
  readonly vm: BridgeVm;
  readonly core: VmCore;
  readonly port: SerialPort;
  readonly call: UpstreamCall;
}

export interface Bridge {
  /** Counters by `tenant/vm`. */
  counters(): ReadonlyMap<string, VmCounters>;
  close(): Promise<void>;
}

/** Serves until closed. Throws CERTIFICATE_INVALID, PORT_IN_USE, SERIAL_PORT_FAILED. */
export async function startBridge(settings: BridgeSettings, log: Log): Promise<Bridge> {
  const client = createClient(settings);
  const links: Link[] = [];
  const close = async (): Promise<void> => {
    for (const { call } of links) call.stop();
    await Promise.all(links.map(({ port }) => port.close()));
    client.close();
  };
  try {
    for (const vm of settings.vms) links.push(await openLink(vm, settings, client, log));
  } catch (error) {
    await close();
    throw error;
  }
  for (const { call } of links) call.start();
  const report = setInterval(() => reportRefusals(links, log), REPORT_INTERVAL_MS);
  return {
    counters: () => new Map(links.map(({ vm, core }) => [`${vm.tenant}/${vm.vm}`, core.counters])),
    close: () => {
      clearInterval(report);
      return close();
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

async function openLink(
  vm: BridgeVm,
  settings: BridgeSettings,
  client: Client,
  log: Log,
): Promise<Link> {
  const { socketPath: path, mode, tenant, vm: name } = vm;
  const port = await openSerialPort({ kind: "unix", path, mode }, log);
  const call = new UpstreamCall(client, { tenant, vm: name }, log);
  const outputs = {
    sendUpstream: call.send.bind(call),
    writeSerial: port.write.bind(port),
  };
  const core = new VmCore(settings.limits, outputs, MONOTONIC_CLOCK.nowMs());
  port.onUp = () => core.serialUp();
  port.onDown = () => core.serialDown();
  port.onData = (bytes) => {
    const upstreamQueuedBytes = call.queuedBytes;
    core.serialBytes(bytes, { nowMs: MONOTONIC_CLOCK.nowMs(), upstreamQueuedBytes });
  };
  call.onOpen = () => core.upstreamOpened();
  call.onClose = () => core.upstreamClosed();
  call.onFrame = (frame) => core.upstreamFrame(frame);
  return { vm, core, port, call };
}

const reported = new WeakMap<VmCore, number>();

function reportRefusals(links: readonly Link[], log: Log): void {
  for (const { vm, core } of links) {
    const { refusals } = core.counters;
    const total = Object.values(refusals).reduce((sum, count) => sum + count, 0);
    if (total === (reported.get(core) ?? 0)) continue;
    reported.set(core, total);
    log.warn("a virtual machine meets its limits", { tenant: vm.tenant, vm: vm.vm, ...refusals });
  }
}
