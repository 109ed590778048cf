/**
 * Both README commands in a minimal Debian 12 without git, compiler or Node. Runs in `test --full` alone:
 * it installs several hundred megabytes.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";

const FULL = process.env["FLOWLIFT_TEST_FULL"] === "1";
const INSTALL_MS = 900_000;
const GATE_MS = 2_400_000;
const NOT_CLONED = ["node_modules", "dist", ".flowlift", ".build", ".git"];
let folder: string | undefined;

afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}, INSTALL_MS);

/**
 * Mounts live in the child's own mount namespace and go with it. The root is changed by pivot_root: entering
 * a mount namespace, as labs do, would lead out of a chroot.
 */
const ENTER = `
set -e
root=$1; shift
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev; mount -t tmpfs tmpfs run
mkdir -p run/old
pivot_root . run/old
umount -l /run/old
exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin NODE_EXTRA_CA_CERTS=/etc/host-ca.crt NPM_CONFIG_CAFILE=/etc/host-ca.crt "$@"
`;

function runInside(root: string, script: string, timeout: number) {
  const done = spawnSync(
    "unshare",
    ["--mount", "sh", "-c", ENTER, "sh", root, "sh", "-c", script],
    {
      encoding: "utf8",
      timeout,
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  return { status: done.status, out: done.stdout, err: done.stderr };
}

function makeMinimalDebian(): string {
  const root = mkdtempSync(join(tmpdir(), "flowlift-minimal-"));
  folder = root;
  chmodSync(root, 0o755); // As every machine's root folder: users without privileges pass through it.
  const made = spawnSync("debootstrap", ["--variant=minbase", "bookworm", root], {
    encoding: "utf8",
  });
  expect(made.status, made.stdout.slice(-500)).toBe(0);
  for (const [from, to] of [
    ["/etc/resolv.conf", "etc/resolv.conf"],
    ["/etc/ssl/certs/ca-certificates.crt", "etc/host-ca.crt"],
    ["/usr/local/share/ca-certificates", "usr/local/share/ca-certificates"],
  ] as const) {
    if (existsSync(from)) cpSync(from, join(root, to), { recursive: true });
  }
  const source = findProjectRoot();
  cpSync(source, join(root, "root", "flowlift"), {
    recursive: true,
    filter: (path) => !NOT_CLONED.includes(relative(source, path)),
  });
  return root;
}

test.runIf(FULL)(
  "demo and test hold on a minimal Debian 12",
  () => {
    const root = makeMinimalDebian();
    const bare = runInside(root, "command -v git || command -v cc || command -v node", INSTALL_MS);
    expect(bare.status).not.toBe(0);
    const doctor = runInside(root, "cd /root/flowlift && ./flowlift doctor", INSTALL_MS);
    expect(doctor.status).toBe(3);
    const demo = runInside(root, "cd /root/flowlift && ./flowlift demo --json", INSTALL_MS);
    expect(demo.status, demo.err.slice(-2000)).toBe(0);
    const report = JSON.parse(demo.out.trim().split("\n").at(-1) ?? "") as { ok: boolean };
    expect(report.ok).toBe(true);
    const gate = runInside(root, "cd /root/flowlift && ./flowlift test", GATE_MS);
    expect(gate.status, gate.out.slice(-20_000)).toBe(0);
  },
  2 * INSTALL_MS + GATE_MS,
);
