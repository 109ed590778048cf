/**
 * Bundles the appliance: the program with the subcommands that run inside the VM, and its worker threads.
 *
 * Effect: reads the sources; runs the bundler in this process. Writes nothing.
 * Invariant: only subcommands named `appliance-*` are in the image, so that no code of bridge, controller or lab
 * lies in a tenant's VM.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Plugin } from "rolldown";
import { assert } from "../lib/base/assert.ts";
import { FlowliftError } from "../lib/base/errors.ts";

export interface BundledFile {
  readonly name: string;
  readonly data: Buffer;
}

export interface Bundle {
  readonly files: readonly BundledFile[];
  /** npm packages whose code is in the bundle: folders below node_modules. */
  readonly npmPackages: readonly string[];
}

const SUBCOMMAND_PREFIX = "appliance-";
/** Rooms whose worker threads the VM may start. */
const WORKER_ROOMS = ["lib", "management", "appliance", "offload", "telemetry"];
/** Loads a native library at run time, from its own folder. */
const KOFFI = "koffi";
/** Compiled helpers of ssh2, which the VM goes without: it asks for them and copes with their absence. */
const ABSENT: readonly (string | RegExp)[] = ["cpu-features", /\.node$/];

/** Returns the bundle's files; names are flat, so that a worker lies beside who starts it. */
export async function bundleAppliance(sources: string): Promise<Bundle> {
  const { rolldown } = await import("rolldown");
  const input: Record<string, string> = { main: join(sources, "cli", "main.ts") };
  for (const worker of listWorkers(sources)) input[basename(worker, ".ts")] = worker;
  const build = await rolldown({
    input,
    platform: "node",
    external: [KOFFI, ...ABSENT],
    plugins: [onlyGuestSubcommands(sources)],
    logLevel: "silent",
    // CommonJS packages that ask where they lie get the answer of an ES module.
    transform: { define: { __dirname: "import.meta.dirname", __filename: "import.meta.filename" } },
  });
  try {
    const { output } = await build.generate({
      format: "esm",
      entryFileNames: "[name].js",
      chunkFileNames: "[name]-[hash].js",
      minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
      comments: { legal: false, annotation: false, jsdoc: false },
    });
    const files: BundledFile[] = [];
    const modules = new Set<string>();
    for (const chunk of output) {
      if (chunk.type !== "chunk") continue;
      files.push({ name: chunk.fileName, data: Buffer.from(chunk.code) });
      for (const id of chunk.moduleIds) modules.add(id);
    }
    return { files: files.sort(byName), npmPackages: listNpmPackages(modules) };
  } catch (cause) {
    throw new FlowliftError("IMAGE_FAILED", "the program cannot be bundled", { cause });
  } finally {
    await build.close();
  }
}

/** Returns the source of the table of subcommands as the VM has it. */
export function formatGuestSubcommands(names: readonly string[]): string {
  assert(names.length > 0, "the appliance has subcommands");
  const rows = names.map((name) => {
    const load = `async () => (await import(${JSON.stringify(`./${name}.ts`)})).run`;
    return `{ name: ${JSON.stringify(name)}, summary: "", load: ${load} }`;
  });
  return [
    `export const SUBCOMMANDS = [${rows.join(", ")}];`,
    'export function formatUsage() { return SUBCOMMANDS.map((one) => one.name + "\\n").join(""); }',
  ].join("\n");
}

function onlyGuestSubcommands(sources: string): Plugin {
  const cli = join(sources, "cli");
  const table = join(cli, "subcommands.ts");
  const names = readdirSync(cli)
    .filter((name) => name.startsWith(SUBCOMMAND_PREFIX) && name.endsWith(".ts"))
    .map((name) => basename(name, ".ts"))
    .sort();
  return {
    name: "guest-subcommands",
    load: (id: string) => (id === table ? formatGuestSubcommands(names) : null),
  };
}

function listWorkers(sources: string): string[] {
  const rooms = WORKER_ROOMS.filter((room) => existsSync(join(sources, room)));
  return rooms
    .flatMap((room) =>
      readdirSync(join(sources, room), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith("-worker.ts"))
        .map((name) => join(sources, room, name)),
    )
    .sort();
}

function listNpmPackages(modules: ReadonlySet<string>): string[] {
  const found = new Set<string>([KOFFI]);
  for (const id of modules) {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
    if (name !== undefined) found.add(name);
  }
  return [...found].sort();
}

function byName(a: BundledFile, b: BundledFile): number {
  return a.name < b.name ? -1 : 1;
}

/** Returns koffi as the VM loads it: its entry and the one native library for this machine type. */
export function readKoffi(nodeModules: string): BundledFile[] {
  const files = [
    "koffi/package.json",
    "koffi/index.js",
    "koffi/src/koffi/index.js",
    "koffi/src/koffi/src/static.js",
    "@koromix/koffi-linux-x64/package.json",
    "@koromix/koffi-linux-x64/index.js",
    "@koromix/koffi-linux-x64/linux_x64/koffi.node",
  ];
  return files.map((name) => ({ name, data: readFileSync(join(nodeModules, name)) }));
}
