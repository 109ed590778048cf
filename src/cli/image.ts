/** `flowlift image build|lock`: makes a tenant VM's image, and refreshes what it is made from. */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { ensureImage } from "../image/build-image.ts";
import { listImageFiles } from "../image/image-files.ts";
import { formatLock } from "../image/image-lock.ts";
import { findImagePaths } from "../image/image-paths.ts";
import { IMAGE_PROFILES, type ImageProfile, isImageProfile } from "../image/profile.ts";
import { refreshLock } from "../image/refresh-lock.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { createLog } from "../lib/base/log.ts";
import { parseFlags } from "./arguments.ts";

const USAGE = `flowlift image build [-o DIR] [--profile ${IMAGE_PROFILES.join("|")}] [--json] | flowlift image lock`;
const DAY_SECONDS = 86_400;

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  // `-o` is short for `--out`.
  const long = args.map((arg) => (arg === "-o" ? "--out" : arg));
  const spec = { values: ["out", "profile"], switches: ["json"], positionalsMax: 1 };
  const flags = parseFlags(long, spec, USAGE);
  switch (flags.positionals[0]) {
    case "build":
      return await build(flags.values, flags.switches.has("json"));
    case "lock":
      return await lock();
    default:
      throw new FlowliftError("USAGE", `"build" or "lock" is missing; usage: ${USAGE}`);
  }
}

async function build(values: Readonly<Record<string, string>>, asJson: boolean): Promise<number> {
  const profile = readProfile(values["profile"] ?? "all");
  const out = values["out"];
  const files = await ensureImage({
    profile,
    log: createLog("image"),
    ...(out === undefined ? {} : { outputFolder: resolve(out) }),
  });
  const text = asJson ? JSON.stringify(files) : listImageFiles(files).join("\n");
  process.stdout.write(`${text}\n`);
  return EXIT_HELD;
}

function readProfile(name: string): ImageProfile {
  if (isImageProfile(name)) return name;
  const known = IMAGE_PROFILES.join(", ");
  throw new FlowliftError("USAGE", `there is no profile "${name}"; profiles: ${known}`);
}

async function lock(): Promise<number> {
  const paths = findImagePaths();
  // Whole days: the time says when the packages were chosen, not more.
  const today = Math.floor(Date.now() / 1000 / DAY_SECONDS) * DAY_SECONDS;
  const fresh = await refreshLock(paths, today);
  writeFileSync(paths.lockFile, formatLock(fresh));
  process.stdout.write(
    `${paths.lockFile}: ${fresh.packages.length + 1} Debian packages, Node ${fresh.node.version}\n`,
  );
  return EXIT_HELD;
}
