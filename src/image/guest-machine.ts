/**
 * Boots the guest and reads its report.
 *
 * Effect: one QEMU, which ends with its jobs, after its limit, or by kill(); files in a
 * temporary folder, which goes with it. The machine's root file system is shared read-only.
 * Source: qemu-system(1) of QEMU 7.2.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { type AcceleratorChoice, probeAccelerator } from "../lib/guest/accelerator.ts";
import { QEMU_PROGRAM } from "../lib/guest/qemu-words.ts";
import { makeGuestInitrd } from "./guest-initrd.ts";
import { GUEST_KERNEL_RELEASE, type GuestKernel } from "./guest-kernel.ts";
import { type GuestEvent, GuestReport, type JobOutcome } from "./guest-report.ts";
import { type GuestJob, MODULES_TAG, REPORT_PORT, ROOT_TAG } from "./guest-script.ts";

export const GUEST_MEMORY_MIB = 3072;
export const GUEST_PROCESSORS = 2;
/** The guest's own limit begins with its jobs; a crowded machine takes so long to boot it and to switch it off. */
const GRACE_SEC = 180;
const CONSOLE_CHARS_SHOWN = 1500;

export interface GuestRunOptions {
  readonly kernel: GuestKernel;
  readonly projectRoot: string;
  readonly jobs: readonly GuestJob[];
  readonly limitSec: number;
  readonly onEvent?: (event: GuestEvent) => void;
  readonly signal?: AbortSignal;
}

export interface GuestRun {
  /** `uname -r`, as the guest said. */
  readonly release: string;
  readonly accelerator: AcceleratorChoice;
  /** One for each job, in order; a job that never ran has no exit code. */
  readonly outcomes: readonly JobOutcome[];
}

/** Runs the jobs in a guest. Throws ENVIRONMENT_LACKS when it does not boot. */
export async function runInGuest(options: GuestRunOptions): Promise<GuestRun> {
  const folder = mkdtempSync(join(tmpdir(), "flowlift-guest-"));
  try {
    const plan = { ...options, release: GUEST_KERNEL_RELEASE };
    const initrdFile = makeGuestInitrd(options.kernel, plan, folder);
    const accelerator = await probeAccelerator(options.kernel.kernelFile);
    const consoleFile = join(folder, "console.log");
    const words = formatGuestWords(options.kernel, initrdFile, consoleFile, accelerator);
    const { release, outcomes } = await follow(words, options);
    if (release === "") {
      const end = readFileSync(consoleFile, "utf8").slice(-CONSOLE_CHARS_SHOWN);
      throw new FlowliftError("ENVIRONMENT_LACKS", `The guest did not boot: ${end.trim()}`);
    }
    return { release, accelerator, outcomes: fillIn(options.jobs, outcomes) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function fillIn(jobs: readonly GuestJob[], outcomes: readonly JobOutcome[]): JobOutcome[] {
  return jobs.map(
    ({ name }) => outcomes.find((outcome) => outcome.name === name) ?? { name, output: [] },
  );
}

function formatGuestWords(
  kernel: GuestKernel,
  initrdFile: string,
  consoleFile: string,
  { accelerator }: AcceleratorChoice,
): string[] {
  const share = (tag: string, path: string): string[] => [
    "-fsdev",
    `local,id=${tag},path=${path.replaceAll(",", ",,")},security_model=none,readonly=on,multidevs=remap`,
    "-device",
    `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`,
  ];
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", `q35,accel=${accelerator}`, "-cpu", accelerator === "kvm" ? "host" : "max"],
    ...["-smp", `${GUEST_PROCESSORS}`, "-m", `${GUEST_MEMORY_MIB}`],
    ...["-kernel", kernel.kernelFile, "-initrd", initrdFile],
    ...["-append", "console=ttyS0 panic=-1 quiet"],
    ...["-serial", `file:${consoleFile}`],
    ...["-device", "virtio-serial-pci", "-chardev", "stdio,id=report,signal=off"],
    ...["-device", `virtserialport,chardev=report,name=${REPORT_PORT}`],
    ...["-device", "virtio-rng-pci"],
    ...share(ROOT_TAG, "/"),
    ...share(MODULES_TAG, kernel.modulesDirectory),
  ];
}

async function follow(
  words: readonly string[],
  options: GuestRunOptions,
): Promise<{ readonly release: string; readonly outcomes: readonly JobOutcome[] }> {
  const report = new GuestReport();
  const outcomes: JobOutcome[] = [];
  let release = "";
  let errors = "";
  const take = (event: GuestEvent): void => {
    if (event.kind === "kernel") release = event.release;
    if (event.kind === "ended") outcomes.push(event.outcome);
    options.onEvent?.(event);
  };
  // An input that stays open: at its end QEMU would call the port unplugged, and the guest would wait.
  const child = spawn(QEMU_PROGRAM, words, { stdio: ["pipe", "pipe", "pipe"] });
  child.stdout.setEncoding("utf8").on("data", (text: string) => report.push(text).forEach(take));
  child.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-CONSOLE_CHARS_SHOWN);
  });
  await waitForEnd(child, options);
  report.end().forEach(take);
  if (release === "" && errors !== "") {
    throw new FlowliftError("ENVIRONMENT_LACKS", `QEMU ended: ${errors.trim()}`);
  }
  return { release, outcomes };
}

/** The guest ends by itself; who watches it ends it when it does not, or when told. */
async function waitForEnd(child: ChildProcess, options: GuestRunOptions): Promise<void> {
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  const timer = setTimeout(kill, (options.limitSec + GRACE_SEC) * 1000);
  options.signal?.addEventListener("abort", kill, { once: true });
  process.once("exit", kill);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once("error", (cause) =>
        reject(new FlowliftError("ENVIRONMENT_LACKS", "Cannot start QEMU", { cause })),
      );
      child.once("close", () => resolve());
    });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", kill);
    process.removeListener("exit", kill);
  }
}
