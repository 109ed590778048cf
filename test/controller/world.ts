/** A small world for the controller's tests: two tenants, one host, flows that are entitled. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HostCore } from "../../src/controller/host-core.ts";
import { IdRegistry } from "../../src/controller/id-registry.ts";
import {
  type ControllerModel,
  parseModel,
  type VirtualMachine,
} from "../../src/controller/model.ts";
import type { RequestContext } from "../../src/controller/request-context.ts";
import { handleRequest, renewLease } from "../../src/controller/vm-requests.ts";
import { VmState } from "../../src/controller/vm-state.ts";
import type { DriverCapabilities } from "../../src/fast-path/driver.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import type { IpAddress, MacAddress } from "../../src/lib/inet/address.ts";
import { codecOf } from "../../src/offload-protocol/message-codec.ts";
import type {
  Epoch,
  FlowDirection,
  OffloadFlow,
  OffloadReply,
  OffloadRequest,
  OffloadResult,
} from "../../src/offload-protocol/messages.ts";

export const EPOCH: Epoch = "0123456789abcdef" as Epoch;
export const LEASE_MS = 30_000;

export const RED_IN = "02:00:00:0a:00:01" as MacAddress;
export const RED_OUT = "02:00:00:0a:00:02" as MacAddress;
export const BLUE_IN = "02:00:00:0b:00:01" as MacAddress;
export const BLUE_OUT = "02:00:00:0b:00:02" as MacAddress;
export const RED_CLIENT = "02:00:00:0a:01:01" as MacAddress;
export const RED_SERVER = "02:00:00:0a:02:01" as MacAddress;
export const BLUE_CLIENT = "02:00:00:0b:01:01" as MacAddress;
export const BLUE_SERVER = "02:00:00:0b:02:01" as MacAddress;

export const CAPABILITIES: DriverCapabilities = {
  name: "test",
  flowsMax: 1_000_000,
  families: [4, 6],
  protocols: [6, 17],
  rewrite: true,
  mtuPunt: true,
  optionsToVm: true,
  exactFinalCounters: true,
};

export function ip(text: string): IpAddress {
  return text as IpAddress;
}

/** The example configuration as plain data, to change in a test. */
export function exampleConfig(): Record<string, unknown> {
  const path = join(findProjectRoot(), "examples/controller/two-tenants.json");
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
}

export function exampleModel(ids: IdRegistry = new IdRegistry()): ControllerModel {
  const model = parseModel(exampleConfig(), ids);
  if (!model.ok) throw new Error(model.error.message);
  return model.value;
}

/** A NAPT flow of red, from 10.0.0.`host` through 203.0.113.1 to 198.51.100.7:443. */
export function natFlow(flowId: bigint, port = 1024 + Number(flowId % 60_000n)): OffloadFlow {
  const client = ip("10.0.0.5");
  const server = ip("198.51.100.7");
  const external = ip("203.0.113.1");
  const original: FlowDirection = {
    match: {
      vnic: RED_IN,
      protocol: 6,
      sourceAddress: client,
      destinationAddress: server,
      sourcePort: port,
      destinationPort: 443,
    },
    rewrite: { sourceAddress: external, sourcePort: port },
    egress: { vnic: RED_OUT, nextHop: RED_SERVER, mtuBytes: 1500 },
  };
  const reply: FlowDirection = {
    match: {
      vnic: RED_OUT,
      protocol: 6,
      sourceAddress: server,
      destinationAddress: external,
      sourcePort: 443,
      destinationPort: port,
    },
    rewrite: { destinationAddress: client, destinationPort: port },
    egress: { vnic: RED_IN, nextHop: RED_CLIENT, mtuBytes: 1500 },
  };
  return {
    flowId,
    service: "nat",
    rules: [{ attachment: "eth0", direction: "ingress", name: "web" }],
    policyTag: 7,
    policyEpoch: 1n,
    directions: "both",
    original,
    reply,
    idleTimeoutMs: 60_000,
    version: 1n,
  };
}

/** The same flow as blue would ask for it. */
export function asBlue(flow: OffloadFlow): OffloadFlow {
  const text = JSON.stringify(flow, (_, value) => (typeof value === "bigint" ? `${value}n` : value))
    .replaceAll(":0a:", ":0b:")
    .replaceAll("203.0.113.1", "203.0.113.33");
  return JSON.parse(text, (_, value) =>
    typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as OffloadFlow;
}

/** One host's core with both tenants, neighbours known, leases fresh. */
export class World {
  readonly model: ControllerModel;
  readonly core: HostCore = new HostCore(CAPABILITIES, LEASE_MS);
  nowMs = 1_000;
  #token = 0;
  readonly replies = new Map<number, OffloadReply>();

  constructor(model: ControllerModel = exampleModel()) {
    this.model = model;
    const host = model.hosts.get("host-1");
    if (host === undefined) throw new Error("the example has host-1");
    this.core.locations.configure(host);
    const ports = new Map(host.ports.map((port) => [port.interfaceName, port]));
    for (const [name, mac] of [
      ["red-client", RED_CLIENT],
      ["red-server", RED_SERVER],
      ["blue-client", BLUE_CLIENT],
      ["blue-server", BLUE_SERVER],
    ] as const) {
      const port = ports.get(name);
      if (port === undefined) throw new Error(`the example has ${name}`);
      this.core.locations.learn({ segmentId: port.segment.id, mac, portId: port.portId });
    }
    for (const vm of model.vms.values()) this.addVm(vm);
  }

  addVm(vm: VirtualMachine): VmState {
    const state = new VmState(vm, 1n, this.nowMs);
    state.isConnected = true;
    this.core.vms.set(vm.key, state);
    renewLease({ core: this.core, state, nowMs: this.nowMs });
    return state;
  }

  vm(key = "red/gateway"): VmState {
    const state = this.core.vms.get(key);
    if (state === undefined) throw new Error(`${key} is in the world`);
    return state;
  }

  context(key?: string): RequestContext {
    const { core, nowMs } = this;
    const { flowBytesMax } = codecOf("xml");
    const token = ++this.#token;
    return {
      core,
      state: this.vm(key),
      token,
      receivedMs: nowMs,
      nowMs,
      flowBytesMax,
      places: undefined,
    };
  }

  /** Sends a request; a later answer is found in `replies` under the token that is returned. */
  send(request: OffloadRequest, key?: string): { token: number; reply: OffloadReply | undefined } {
    const context = this.context(key);
    const outcome = handleRequest(context, request);
    this.drain();
    const late = this.replies.get(context.token);
    return { token: context.token, reply: outcome.kind === "reply" ? outcome.reply : late };
  }

  request(flows: readonly OffloadFlow[], key?: string, epoch = EPOCH): readonly OffloadResult[] {
    const { reply } = this.send({ kind: "request-offload", epoch, flows }, key);
    if (reply?.kind !== "request-offload") throw new Error("a request is answered at once");
    return reply.results;
  }

  drain(): void {
    for (const effect of this.core.takeEffects()) {
      if (effect.kind === "reply") this.replies.set(effect.token, effect.reply);
    }
  }

  /** The driver takes and installs everything that waits. */
  installAll(): void {
    const batch = this.core.takeInstalls(10_000, this.nowMs);
    const handles = batch.map(({ fast }) => fast.handle);
    this.core.takeInstallOutcomes(
      handles.map((handle) => ({ handle, outcome: "installed" })),
      this.nowMs,
    );
    this.drain();
  }

  /** The driver withdraws everything that waits. */
  withdrawAll(): void {
    const batch = this.core.takeWithdraws(10_000, this.nowMs);
    this.core.takeWithdrawOutcomes(
      batch.map(({ fast, counters }) => ({
        handle: fast.handle,
        outcome: "withdrawn",
        counters,
      })),
      this.nowMs,
    );
    this.drain();
  }
}
