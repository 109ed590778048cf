/** `flowlift vm`: attach, detach, list, on a running controller. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { planHook } from "../deploy/libvirt/hook-event.ts";
import type { ControllerView } from "../deploy/tenancy/controller-view.ts";
import { type AttachedVm, formatAttach, formatDetach } from "../deploy/tenancy/edits.ts";
import { findPort, listHostLinks } from "../deploy/tenancy/find-port.ts";
import { parseVmName, type VmName } from "../deploy/tenancy/names.ts";
import { parseVnics, type VnicWords } from "../deploy/tenancy/vnic-words.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import type { Result } from "../lib/base/result.ts";
import { type ParsedFlags, parseFlags } from "./arguments.ts";
import { CONNECTION_FLAG, OperatorSession } from "./tenancy/operator-session.ts";
import { print, printLate, printRows } from "./tenancy/print.ts";
import { takeRepeated } from "./tenancy/repeated-flag.ts";

const USAGE =
  "flowlift vm attach TENANT/NAME --socket PATH --vnic MAC=SEGMENT[@INTERFACE] [--vnic …] " +
  "[--mode connect|listen] [--host HOST] [--flows-max N] | vm detach TENANT/NAME [--if-there] | " +
  "vm list [--json] | vm hook OPERATION SUBOPERATION < DOMAIN.xml  (all: [--connection FILE])";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const { found: vnics, rest } = takeRepeated(args, "vnic", USAGE);
  const values = [CONNECTION_FLAG, "socket", "mode", "host", "flows-max"];
  const spec = { values, switches: ["json", "if-there"], positionalsMax: 3 };
  const flags = parseFlags(rest, spec, USAGE);
  const [action, word, more] = flags.positionals;
  if (action === "hook" && word !== undefined) await hook(flags, word, more ?? "");
  else if (more !== undefined) throw new FlowliftError("USAGE", `"${more}" is one word too many`);
  else if (action === "list" && word === undefined) await list(flags);
  else if (action === "attach" && word !== undefined) await attach(flags, word, vnics);
  else if (action === "detach" && word !== undefined)
    await detach(flags, parseName(word), flags.switches.has("if-there"));
  else throw new FlowliftError("USAGE", `Say what to do with a VM; usage: ${USAGE}`);
  return EXIT_HELD;
}

function parseName(word: string): VmName {
  return orUsage(parseVmName(word));
}

/** What libvirt's hook script asks for; a guest that is there already, or gone, is as it should be. */
async function hook(flags: ParsedFlags, operation: string, subOperation: string): Promise<void> {
  const action = orUsage(planHook(operation, subOperation, readFileSync(0, "utf8")));
  if (action.kind === "nothing") return;
  if (action.kind === "detach") {
    await detach(flags, action.name, true);
    return;
  }
  const { name, socketPath, vnics } = action;
  const vm = { ...name, socketPath, mode: "connect" as const, vnics, flowsMax: undefined };
  await attachPlaced(flags, vm, true);
}

async function attach(flags: ParsedFlags, word: string, list: readonly string[]): Promise<void> {
  const name = parseName(word);
  const vnics = orUsage(parseVnics(list));
  const socketPath = flags.values["socket"];
  if (socketPath === undefined || !socketPath.startsWith("/")) {
    throw new FlowliftError("USAGE", `"--socket" needs an absolute path; usage: ${USAGE}`);
  }
  const mode = flags.values["mode"] ?? "connect";
  if (mode !== "connect" && mode !== "listen") {
    throw new FlowliftError("USAGE", `"--mode" is connect or listen, not "${mode}"`);
  }
  const flowsMax = readFlowsMax(flags.values["flows-max"]);
  const placed = await placeVnics(vnics);
  await attachPlaced(flags, { ...name, socketPath, mode, vnics: placed, flowsMax }, false);
}

async function attachPlaced(
  flags: ParsedFlags,
  wanted: Omit<AttachedVm, "host">,
  mayBeThere: boolean,
): Promise<void> {
  const word = `${wanted.tenant}/${wanted.vm}`;
  const changed = await OperatorSession.use(flags.values[CONNECTION_FLAG], async (session) => {
    const view = await session.read();
    const tenant = view.tenants.find(({ name }) => name === wanted.tenant);
    if (mayBeThere && tenant?.vms.some(({ name }) => name === wanted.vm)) return undefined;
    const vm: AttachedVm = { ...wanted, host: chooseHost(view, flags.values["host"]) };
    return session.change(formatAttach(vm, portsOf(view, vm)), `Cannot attach "${word}"`);
  });
  if (changed === undefined) {
    print(`"${word}" is attached already`);
    return;
  }
  printLate(changed);
  const ports = wanted.vnics.map(({ mac, interfaceName }) => `${mac} at ${interfaceName}`);
  print(`"${word}" is attached: ${ports.join(", ")}`);
}

/** Returns the ports that the host has; one that another tenant has is refused here, with its name. */
function portsOf(view: ControllerView, vm: AttachedVm): ReadonlySet<string> {
  const ports = view.hosts.find(({ name }) => name === vm.host)?.ports ?? [];
  for (const { interfaceName, segment } of vm.vnics) {
    const port = ports.find((one) => one.interfaceName === interfaceName);
    if (port === undefined || (port.tenant === vm.tenant && port.segment === segment)) continue;
    const owner = `${port.tenant}/${port.segment}`;
    const text = `Port "${interfaceName}" of host "${vm.host}" belongs to segment ${owner}`;
    throw new FlowliftError("USAGE", text);
  }
  return new Set(ports.map(({ interfaceName }) => interfaceName));
}

async function placeVnics(vnics: readonly VnicWords[]): Promise<AttachedVm["vnics"]> {
  if (vnics.every(({ interfaceName }) => interfaceName !== undefined)) {
    return vnics.map((vnic) => ({ ...vnic, interfaceName: vnic.interfaceName ?? "" }));
  }
  const { links, neighbours } = await listHostLinks();
  return vnics.map(({ mac, segment, interfaceName }) => ({
    mac,
    segment,
    interfaceName: interfaceName ?? orUsage(findPort(mac, links, neighbours)),
  }));
}

/** The one that was named, this machine, or the only one there is. */
function chooseHost(view: ControllerView, named: string | undefined): string {
  const names = view.hosts.map(({ name }) => name);
  if (named !== undefined && names.includes(named)) return named;
  if (named !== undefined) throw new FlowliftError("USAGE", `There is no host "${named}"`);
  if (names.includes(hostname())) return hostname();
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0) return only;
  throw new FlowliftError("USAGE", `Say --host, one of: ${names.join(", ") || "(none)"}`);
}

async function detach(flags: ParsedFlags, name: VmName, mayBeGone: boolean): Promise<void> {
  const word = `${name.tenant}/${name.vm}`;
  const changed = await OperatorSession.use(flags.values[CONNECTION_FLAG], async (session) => {
    const view = await session.read();
    const vms = view.tenants.find((tenant) => tenant.name === name.tenant)?.vms ?? [];
    const vm = vms.find((one) => one.name === name.vm);
    if (vm === undefined) {
      if (mayBeGone) return undefined;
      throw new FlowliftError("USAGE", `There is no virtual machine "${word}"`);
    }
    const ports = vm.vnics.map(({ port }) => port);
    return session.change(formatDetach(name, vm.host, ports), `Cannot detach "${word}"`);
  });
  if (changed !== undefined) printLate(changed);
  print(changed === undefined ? `"${word}" is not attached` : `"${word}" is detached`);
}

async function list(flags: ParsedFlags): Promise<void> {
  const view = await OperatorSession.use(flags.values[CONNECTION_FLAG], (session) =>
    session.read(),
  );
  const vms = view.tenants.flatMap((tenant) =>
    tenant.vms.map((vm) => ({ tenant: tenant.name, ...vm })),
  );
  if (flags.switches.has("json")) {
    print(JSON.stringify({ vms }));
    return;
  }
  const rows = vms.map((vm) => [
    `${vm.tenant}/${vm.name}`,
    vm.host,
    vm.problem === undefined ? (vm.isConnected ? "connected" : "away") : `refused: ${vm.problem}`,
    String(vm.activeFlows),
    vm.socketPath ?? "(bridge's settings)",
  ]);
  printRows(["virtual machine", "host", "offload port", "flows", "socket"], rows);
}

function readFlowsMax(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new FlowliftError("USAGE", `"--flows-max" needs a number, not "${text}"`);
}

function orUsage<T>(result: Result<T, { readonly message: string }>): T {
  if (result.ok) return result.value;
  throw new FlowliftError("USAGE", result.error.message);
}
