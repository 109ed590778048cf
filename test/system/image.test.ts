/**
 * The image as an operator gets it: built from the lock, booted by BIOS, by UEFI and directly, the same when it
 * is built again, and never half there.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureImage } from "../../src/image/build-image.ts";
import { type ImageFiles, listImageFiles } from "../../src/image/image-files.ts";
import { findImagePaths, type ImagePaths } from "../../src/image/image-paths.ts";
import type { FlowliftError } from "../../src/lib/base/errors.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

const PATHS = findImagePaths();
const MAIN = join(PATHS.root, LAB_DIST_DIRECTORY, "cli", "main.js");
/** Packages are downloaded and compressed when the cache is cold; everything is slow under emulation. */
const BUILD_MS = 600_000;
const BOOT_MS = 300_000;
const MEBIBYTE = 1024 * 1024;
const QCOW2_BYTES_MAX = 80 * MEBIBYTE;
const IS_FULL = campaignSize(0, 1) === 1;
/** Debian's package ovmf, which only the full test installs. */
const UEFI_FIRMWARE = "/usr/share/ovmf/OVMF.fd";

let folder: string;
let image: ImageFiles;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-image-"));
  image = await ensureImage({ profile: "all", log: SILENT_LOG });
}, BUILD_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Boots until the console says `wanted`; returns what it said. */
async function boot(words: readonly string[], wanted: RegExp): Promise<string> {
  const common = "-M q35,accel=tcg -cpu max -m 512 -smp 2 -nodefaults -nographic -no-reboot";
  const serial = ["-serial", "stdio", "-device", "virtio-rng-pci"];
  const child = spawn("qemu-system-x86_64", [...common.split(" "), ...serial, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${wanted}:\n${said}`)), BOOT_MS - 10_000);
      const read = (chunk: Buffer): void => {
        said += chunk.toString("latin1");
        if (!wanted.test(said)) return;
        clearTimeout(timer);
        resolve();
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.once("exit", (code) => reject(new Error(`QEMU ended (${code}):\n${said}`)));
    });
    return said;
  } finally {
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
  }
}

const disk = (file: string, format: string, more = "") => [
  ...["-drive", `if=none,id=d0,file=${file},format=${format}${more}`],
  ...["-device", "virtio-blk-pci,drive=d0"],
];
const banner = () => new RegExp(`Flowlift ${image.version}[\\s\\S]*SHA256:[A-Za-z0-9+/]{43}`);

describe("it boots to the banner with its version and the host key", () => {
  test("from the compressed disk, by BIOS", { timeout: BOOT_MS }, async () => {
    const said = await boot(disk(image.qcow2File, "qcow2", ",snapshot=on"), banner());
    expect(said).toContain("GRUB");
    // The data partition was found: nothing is kept in memory only.
    expect(said).not.toContain("in memory");
  });

  test("directly, with a data volume of its own missing, which it says", {
    timeout: BOOT_MS,
  }, async () => {
    const direct = ["-kernel", image.kernelFile, "-initrd", image.initrdFile];
    const root = disk(image.rootFile, "raw", ",readonly=on");
    const words = [...direct, "-append", image.commandLine, ...root];
    expect(await boot(words, banner())).not.toContain("GRUB");
  });

  if (IS_FULL) {
    test("from the raw disk, by UEFI", { timeout: BOOT_MS }, async () => {
      const words = ["-bios", UEFI_FIRMWARE, ...disk(image.rawFile, "raw", ",snapshot=on")];
      await boot(words, banner());
    });

    test("from a SCSI disk, by BIOS", { timeout: BOOT_MS }, async () => {
      const drive = `if=none,id=d0,file=${image.qcow2File},format=qcow2,snapshot=on`;
      const device = ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d0"];
      await boot(["-drive", drive, ...device], banner());
    });
  }
});

test("the compressed disk is at most 80 MB, and the partition table is whole", () => {
  expect(statSync(image.qcow2File).size).toBeLessThanOrEqual(QCOW2_BYTES_MAX);
  const said = spawnSync("sfdisk", ["--verify", image.rawFile], { encoding: "utf8" });
  expect(said.stdout + said.stderr).toContain("No errors detected");
});

test("the manifest names every file with its digest", () => {
  const manifest = JSON.parse(readFileSync(image.manifestFile, "utf8"));
  const described = listImageFiles(image).filter((file) => file !== image.manifestFile);
  expect(manifest.files.map((one: { name: string }) => one.name)).toEqual(
    described.map((file) => basename(file)),
  );
  for (const [index, file] of described.entries()) {
    expect(manifest.files[index].sha256).toBe(digest(file));
  }
});

test("an image that is current is not built again", async () => {
  const before = statSync(image.manifestFile).mtimeMs;
  await ensureImage({ profile: "all", log: SILENT_LOG });
  expect(statSync(image.manifestFile).mtimeMs).toBe(before);
});

describe("what lies in the root file system", () => {
  let entries: { mode: string; owner: string; path: string }[];
  beforeAll(() => {
    const listed = execFileSync("unsquashfs", ["-lln", image.rootFile], {
      encoding: "utf8",
      maxBuffer: 64 * MEBIBYTE,
    });
    entries = listed.split("\n").flatMap((line) => {
      const match = /^(\S{10}) (\S+) .*? squashfs-root\/(?:base|app)\/(.*?)(?: -> .*)?$/.exec(line);
      return match ? [{ mode: match[1] ?? "", owner: match[2] ?? "", path: match[3] ?? "" }] : [];
    });
  });
  const read = (path: string) =>
    execFileSync("unsquashfs", ["-cat", image.rootFile, path], { encoding: "utf8" });

  test("belongs to root, and nobody else writes to it; no program changes its user", () => {
    expect(entries.length).toBeGreaterThan(200);
    for (const { mode, owner, path } of entries) {
      expect(`${path} ${owner}`).toBe(`${path} 0/0`);
      expect(`${path} ${/[sS]/.test(mode)}`).toBe(`${path} false`);
      if (!mode.startsWith("l")) expect(`${path} ${mode[8]}`).toBe(`${path} -`);
    }
  });

  test("has no package manager, no compiler, no login, and no program of the host's side", () => {
    const names = new Set(entries.map(({ path }) => basename(path)));
    for (const name of [
      "apt",
      "apt-get",
      "dpkg",
      "gcc",
      "cc",
      "npm",
      "bash",
      "login",
      "getty",
      "sshd",
      "su",
    ]) {
      expect(`${name} ${names.has(name)}`).toBe(`${name} false`);
    }
    for (const { path } of entries)
      expect(path).not.toMatch(/controller-|bridge-|\/usr\/share\/(doc|man|locale)\//);
  });

  test("has no account that can log in", () => {
    for (const line of read("app/etc/shadow").trim().split("\n")) {
      expect(line.split(":")[1]).toMatch(/^[!*]/);
    }
  });

  test("has the modules that the appliance asks the kernel for, and lists that find them", () => {
    const paths = entries.map(({ path }) => path);
    for (const name of ["nf_tables", "nft_chain_nat", "virtio_console", "qemu_fw_cfg", "isofs"]) {
      expect(paths.some((path) => path.endsWith(`/${name}.ko`))).toBe(true);
    }
    expect(paths.some((path) => path.endsWith("/modules.dep.bin"))).toBe(true);
    expect(paths.some((path) => path.endsWith("/modules.alias.bin"))).toBe(true);
  });

  test("tells its version by os-release and beside the program", () => {
    expect(read("app/etc/os-release")).toContain(`VERSION_ID="${image.version}"`);
    expect(JSON.parse(read("app/usr/lib/flowlift/package.json")).version).toBe(image.version);
  });
});

describe("the same lock makes the same bytes", () => {
  /** Builds with a cache of its own, which only shares the downloaded packages. */
  async function buildApart(name: string, paths: ImagePaths): Promise<string[]> {
    const outputFolder = join(folder, name);
    const files = await ensureImage({ profile: "nat", log: SILENT_LOG, outputFolder, paths });
    return listImageFiles(files).map((file) => `${basename(file)} ${digest(file)}`);
  }

  const title = IS_FULL
    ? "the whole image, from packages"
    : "the application's layer and the disks";
  test(title, { timeout: BUILD_MS, ...campaignOptions() }, async () => {
    const apart = (name: string) => (IS_FULL ? { ...PATHS, cache: makeCache(name) } : PATHS);
    const first = await buildApart("first", apart("cache-1"));
    const before = process.umask(0o077);
    try {
      expect(await buildApart("second", apart("cache-2"))).toEqual(first);
    } finally {
      process.umask(before);
    }
    const profile = ["-cat", join(folder, "first", first[2]!.split(" ")[0]!)];
    const read = execFileSync("unsquashfs", [...profile, "app/usr/lib/flowlift-guest/profile"]);
    expect(read.toString()).toBe("nat\n");
  });
});

describe("what is wrong is said, and nothing is left half done", () => {
  function runImage(...args: string[]) {
    const done = spawnSync(process.execPath, [MAIN, "image", ...args], { encoding: "utf8" });
    return { status: done.status, err: done.stderr };
  }

  test("an unknown profile, a missing word", () => {
    const profile = runImage("build", "--profile", "router");
    expect(profile).toMatchObject({ status: 2 });
    expect(profile.err).toContain("nat, lb, firewall, all");
    expect(runImage().status).toBe(2);
    expect(runImage("make").status).toBe(2);
  });

  test("an output folder that cannot be", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const { status, err } = runImage("build", "-o", join(file, "below"));
    expect(status).toBe(3);
    expect(err).toContain("cannot be written");
  });

  test("a full disk", { timeout: BUILD_MS }, () => {
    const small = join(folder, "small");
    mkdirSync(small);
    const script = `mount -t tmpfs -o size=8m small "$1" && "$2" "$3" image build -o "$1"; code=$?; ls -A "$1"; exit $code`;
    const args = ["--mount", "sh", "-c", script, "sh", small, process.execPath, MAIN];
    const done = spawnSync("unshare", args, { encoding: "utf8" });
    expect(done.stderr).toContain("space left");
    expect(done.status).toBe(3);
    expect(done.stdout).toBe("");
  });

  test("a package that is not what the lock names, and one that nobody offers", {
    timeout: BUILD_MS,
  }, async () => {
    const cases: [(one: Record<string, unknown>) => void, Partial<FlowliftError>][] = [
      [
        (one) => (one["sha256"] = "0".repeat(64)),
        { code: "IMAGE_INPUT_MISMATCH", message: expect.stringContaining("wanted 0000") },
      ],
      [
        (one) => Object.assign(one, { version: "0:0.0-0", pool: "pool/main/n/none/none.deb" }),
        { code: "ENVIRONMENT_LACKS", message: expect.stringContaining("flowlift image lock") },
      ],
    ];
    for (const [index, [edit, wanted]] of cases.entries()) {
      const lock = JSON.parse(readFileSync(PATHS.lockFile, "utf8"));
      edit(lock.packages[0]);
      const lockFile = join(folder, `lock-${index}.json`);
      writeFileSync(lockFile, JSON.stringify(lock));
      const outputFolder = join(folder, `out-${index}`);
      const paths = { ...PATHS, lockFile, cache: makeCache(`bad-cache-${index}`) };
      const building = ensureImage({ profile: "all", log: SILENT_LOG, outputFolder, paths });
      await expect(building).rejects.toMatchObject(wanted);
      expect(readdirSync(outputFolder)).toEqual([]);
      expect(readdirSync(paths.cache)).toEqual(["packages"]);
    }
  });
});

/** A cache of its own that only shares the downloaded packages. */
function makeCache(name: string): string {
  const cache = join(folder, name);
  if (!existsSync(cache)) {
    mkdirSync(cache);
    symlinkSync(join(PATHS.cache, "packages"), join(cache, "packages"));
  }
  return cache;
}

function digest(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
