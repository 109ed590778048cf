/** `flowlift tenant`: add, remove, list, on a running controller. */
import { readFileSync } from "node:fs";
import { formatAddTenant, formatRemoveTenant } from "../deploy/tenancy/edits.ts";
import { parseTenantFile, type TenantFile } from "../deploy/tenancy/tenant-file.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { type ParsedFlags, parseFlags } from "./arguments.ts";
import { CONNECTION_FLAG, OperatorSession } from "./tenancy/operator-session.ts";
import { print, printLate, printRows } from "./tenancy/print.ts";

const USAGE =
  "flowlift tenant add FILE [--merge] | tenant remove NAME [--force] | tenant list [--json]  " +
  "(all: [--connection FILE])";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const spec = {
    values: [CONNECTION_FLAG],
    switches: ["merge", "force", "json"],
    positionalsMax: 2,
  };
  const flags = parseFlags(args, spec, USAGE);
  const [action, word] = flags.positionals;
  if (action === "list" && word === undefined) await list(flags);
  else if (action === "add" && word !== undefined) await add(flags, word);
  else if (action === "remove" && word !== undefined) await remove(flags, word);
  else throw new FlowliftError("USAGE", `Say what to do with a tenant; usage: ${USAGE}`);
  return EXIT_HELD;
}

async function add(flags: ParsedFlags, path: string): Promise<void> {
  const file = readFile(path);
  const operation = flags.switches.has("merge") ? "merge" : "create";
  const changed = await OperatorSession.use(flags.values[CONNECTION_FLAG], async (session) => {
    const hosts = new Set((await session.read()).hosts.map((host) => host.name));
    const stray = file.ports.find(({ host }) => !hosts.has(host));
    if (stray !== undefined) throw new FlowliftError("USAGE", `There is no host "${stray.host}"`);
    return session.change(formatAddTenant(file, operation), `Cannot add the tenant "${file.name}"`);
  });
  printLate(changed);
  print(`tenant "${file.name}" is there, with ${file.ports.length} ports from this file`);
}

async function remove(flags: ParsedFlags, name: string): Promise<void> {
  const changed = await OperatorSession.use(flags.values[CONNECTION_FLAG], async (session) => {
    const view = await session.read();
    const tenant = view.tenants.find((one) => one.name === name);
    if (tenant === undefined) throw new FlowliftError("USAGE", `There is no tenant "${name}"`);
    if (tenant.vms.length > 0 && !flags.switches.has("force")) {
      const vms = tenant.vms.map((vm) => vm.name).join(", ");
      const text = `Tenant "${name}" has virtual machines (${vms}): detach them, or --force`;
      throw new FlowliftError("USAGE", text);
    }
    return session.change(formatRemoveTenant(tenant, view), `Cannot remove the tenant "${name}"`);
  });
  printLate(changed);
  print(`tenant "${name}" is gone`);
}

async function list(flags: ParsedFlags): Promise<void> {
  const view = await OperatorSession.use(flags.values[CONNECTION_FLAG], (session) =>
    session.read(),
  );
  const tenants = view.tenants.map((tenant) => ({
    name: tenant.name,
    segments: tenant.segments,
    vms: tenant.vms.map((vm) => vm.name),
    ports: view.hosts.flatMap((host) =>
      host.ports
        .filter((port) => port.tenant === tenant.name)
        .map(({ interfaceName, segment }) => ({ host: host.name, interfaceName, segment })),
    ),
  }));
  if (flags.switches.has("json")) print(JSON.stringify({ tenants }));
  else {
    const rows = tenants.map(({ name, segments, vms, ports }) => [
      name,
      segments.map((segment) => segment.name).join(",") || "-",
      vms.join(",") || "-",
      String(ports.length),
    ]);
    printRows(["tenant", "segments", "virtual machines", "ports"], rows);
  }
}

function readFile(path: string): TenantFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read "${path}"`, { cause });
  }
  const file = parseTenantFile(text);
  if (file.ok) return file.value;
  throw new FlowliftError("CONFIG_FILE_INVALID", `"${path}" cannot be used: ${file.error.message}`);
}
