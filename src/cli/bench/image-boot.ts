/** How long the image's kernel takes to an init that does nothing. Effect: one QEMU as nobody. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packCpio } from "../../image/cpio.ts";
import { formatSetpriv, ROOT } from "../../lab/privileges.ts";
import type { LabVmOptions } from "../../lab/vm/vm-options.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import { formatQemuWords } from "../../lib/guest/qemu-words.ts";
import { encodeTinyInit, TINY_INIT_WORD } from "../../lib/guest/tiny-init.ts";
import type { VmSpec } from "../../lib/guest/vm-spec.ts";

/** Under emulation it takes two seconds. */
export const TINY_BOOT_TIMEOUT_MS = 60_000;

/** Returns seconds from QEMU's start to the init's word; the VM has the memory and processors of `like`. */
export async function timeTinyBoot(vm: LabVmOptions, like: VmSpec): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "flowlift-tiny-"));
  try {
    const initrdFile = join(folder, "initrd");
    const init = { kind: "file", path: "init", mode: 0o755, data: encodeTinyInit() } as const;
    writeFileSync(initrdFile, packCpio([init], 0));
    const { kernelFile, commandLine } = vm.image;
    const { name, uuid, accelerator, memoryMib, processors } = like;
    const words = formatQemuWords({
      ...{ name, uuid, accelerator, memoryMib, processors },
      boot: { kind: "kernel", kernelFile, initrdFile, commandLine },
      ...{ nics: [], ports: [], seeds: [], console: { kind: "stdio" } },
    });
    return await timeUntil([...formatSetpriv(ROOT), ...words], TINY_INIT_WORD);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function timeUntil(argv: readonly string[], word: string): Promise<number> {
  const [program = "", ...args] = argv;
  const started = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), TINY_BOOT_TIMEOUT_MS);
    const take = (chunk: Buffer): void => {
      text = (text + chunk.toString("latin1")).slice(-4096);
      if (!text.includes(word)) return;
      resolve((performance.now() - started) / 1000);
      child.kill("SIGKILL");
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(timer);
      reject(new FlowliftError("LAB_FAILED", `The smallest guest did not start: ${text.trim()}`));
    });
  });
}
