/**
 * Runs `flowlift controller --mock`: the real controller with a driver that only remembers.
 *
 * Effect: everything of a process but its output and exit code. Nothing is kept over a restart.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import { serveAdmin } from "./admin-server.ts";
import { createConfigContext, readConfigFile } from "./config-file.ts";
import { Controller } from "./controller.ts";
import { IdRegistry } from "./id-registry.ts";
import { MockDriver } from "./mock-driver.ts";
import { MockFaults } from "./mock-faults.ts";
import type { VirtualMachine } from "./model.ts";
import { serveSerial } from "./serial-listener.ts";

const MOCK_STATISTICS_INTERVAL_MS = 1_000;

export interface MockOptions {
  /** Absent: examples/controller/mock.json. */
  readonly configFile?: string;
  /** Path of the sockets; `{vm}` stands for TENANT-VM and is needed when there are several. */
  readonly socketPath: string;
  /** An address of the loopback. */
  readonly adminAddress: string;
  /** Absent: drawn, and told. */
  readonly token?: string;
  readonly faults: Readonly<Record<string, number>>;
  /** `xml`: CBOR is not offered. */
  readonly encoding?: "xml" | "cbor";
}

export interface MockAddresses {
  readonly admin: string;
  readonly token: string;
  /** Socket of each virtual machine, by TENANT/VM. */
  readonly sockets: Readonly<Record<string, string>>;
}

/** Returns the configuration that is used without `--config`. */
export function mockConfigFile(): string {
  return join(findProjectRoot(), "examples", "controller", "mock.json");
}

/** Serves until `stopped` resolves. Throws USAGE, CONFIG_FILE_INVALID or PORT_IN_USE. */
export async function runMock(
  options: MockOptions,
  log: Log,
  onReady: (addresses: MockAddresses) => void,
  stopped: Promise<unknown>,
): Promise<void> {
  const faults = new MockFaults(Math.random);
  const problem = faults.change(options.faults);
  if (problem !== undefined) throw new FlowliftError("USAGE", problem);
  const context = createConfigContext();
  const configFile = options.configFile ?? mockConfigFile();
  const ids = new IdRegistry();
  const model = readConfigFile(context, configFile, ids);
  const controller = await Controller.start({
    model,
    clock: MONOTONIC_CLOCK,
    log,
    statisticsIntervalMs: MOCK_STATISTICS_INTERVAL_MS,
    offersCbor: options.encoding !== "xml",
    assumesLocations: true,
    connectDriver: async () => new MockDriver(faults),
  });
  const vms = [...model.vms.values()];
  const sockets = socketsOf(options.socketPath, vms);
  const crash = (): void => void process.kill(process.pid, "SIGKILL");
  const servers = await Promise.all(
    vms.map((vm) => serveSerial({ controller, vm, path: sockets[vm.key] ?? "", faults, crash })),
  );
  const token = options.token ?? randomBytes(16).toString("hex");
  const reload = async (): Promise<void> => {
    await controller.replaceModel(readConfigFile(context, configFile, ids));
  };
  const admin = await serveAdmin(
    { controller, token, clock: MONOTONIC_CLOCK, reload, faults },
    { address: options.adminAddress },
  ).catch((error: unknown) => {
    for (const server of servers) server.close(); // Or their sockets would stay.
    throw error;
  });
  onReady({ admin: admin.url, token, sockets });
  await stopped;
  for (const server of servers) server.close();
  admin.close();
  await controller.close();
  context.destroy();
}

function socketsOf(path: string, vms: readonly VirtualMachine[]): Record<string, string> {
  if (vms.length > 1 && !path.includes("{vm}")) {
    const names = vms.map((vm) => vm.key).join(", ");
    const text = `The configuration has ${vms.length} virtual machines (${names})`;
    throw new FlowliftError("USAGE", `${text}: "--listen" needs "{vm}" in its path`);
  }
  return Object.fromEntries(
    vms.map((vm) => [vm.key, path.replaceAll("{vm}", vm.key.replace("/", "-"))]),
  );
}
