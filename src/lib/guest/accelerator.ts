/**
 * Whether this machine's processor runs VMs: tried with a kernel, since /dev/kvm also exists where it hangs.
 *
 * Effect: starts QEMU, which ends by itself or is killed; the answer is remembered for the process.
 * Limit: TRIAL_SILENCE_MS until the first word of the trial's kernel, TRIAL_MS for all of it.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { QEMU_PROGRAM } from "./qemu-words.ts";
import type { Accelerator } from "./vm-spec.ts";

export const TRIAL_SILENCE_MS = 3_000;
export const TRIAL_MS = 10_000;
const KVM_DEVICE = "/dev/kvm";
const OUTPUT_BYTES_MAX = 256 * 1024;
const WORDS_MAX = 120;

export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  /** Why, for a person. */
  readonly reason: string;
}

let remembered: Promise<AcceleratorChoice> | undefined;

/** Returns what VMs run on here; `kernelFile` is any x86 kernel with a console on a serial port. */
export function probeAccelerator(kernelFile: string): Promise<AcceleratorChoice> {
  remembered ??= tryKvm(kernelFile);
  return remembered;
}

/** Returns "KVM" or "emulation" with the reason, as summaries say it. */
export function formatAccelerator({ accelerator, reason }: AcceleratorChoice): string {
  return accelerator === "kvm" ? `KVM (${reason})` : `emulation (${reason})`;
}

/** Makes one attempt. `program` is another QEMU in tests. */
export async function tryKvm(
  kernelFile: string,
  program: string = QEMU_PROGRAM,
  device: string = KVM_DEVICE,
): Promise<AcceleratorChoice> {
  if (!existsSync(device)) return emulate(`${device} does not exist`);
  const outcome = await runTrial(kernelFile, program);
  if (outcome === "booted") return { accelerator: "kvm", reason: "a trial kernel booted" };
  return emulate(`${device} exists, but ${outcome}`);
}

function emulate(reason: string): AcceleratorChoice {
  return { accelerator: "tcg", reason };
}

function formatTrial(kernelFile: string): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-sandbox", "on,spawn=deny"],
    ...["-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "256M", "-no-reboot"],
    // Without a root file system the kernel panics, restarts, and -no-reboot ends QEMU.
    ...["-kernel", kernelFile, "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1"],
    ...["-serial", "stdio"],
  ];
}

function runTrial(kernelFile: string, program: string): Promise<string> {
  const child = spawn(program, formatTrial(kernelFile), { stdio: ["ignore", "pipe", "pipe"] });
  return new Promise((resolve) => {
    let output = "";
    let errors = "";
    let limit = "";
    const giveUp = (words: string) => (): void => {
      limit = words;
      child.kill("SIGKILL");
    };
    const silence = setTimeout(giveUp("a trial kernel says nothing"), TRIAL_SILENCE_MS);
    const whole = setTimeout(giveUp("a trial kernel does not boot"), TRIAL_MS);
    child.stdout.on("data", (chunk: Buffer) => {
      clearTimeout(silence);
      output = (output + chunk.toString("latin1")).slice(-OUTPUT_BYTES_MAX);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString("latin1")).slice(-OUTPUT_BYTES_MAX);
    });
    child.once("error", () => finish("QEMU is not installed"));
    child.once("close", () => finish(limit));
    const finish = (failure: string): void => {
      clearTimeout(silence);
      clearTimeout(whole);
      if (failure === "" && /Kernel panic - not syncing/.test(output)) resolve("booted");
      else resolve(failure === "" ? `QEMU ended: ${lastLine(errors)}` : failure);
    };
  });
}

function lastLine(text: string): string {
  const lines = text
    .trim()
    .split("\n")
    .filter((line) => !line.includes("warning:"));
  return lines.at(-1)?.slice(-WORDS_MAX) ?? "without a word";
}
