/** Moves the test's own process into a network namespace of its own, which ends with it. */
import { execFileSync } from "node:child_process";
import koffi from "koffi";

const CLONE_NEWNET = 0x4000_0000;

/** The main thread and every child it starts from now on are in a new, empty namespace. */
export function enterNewNetworkNamespace(): void {
  const unshare = koffi.load(null).func("int unshare(int flags)");
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare failed: errno ${koffi.errno()}`);
  run("ip link set lo up");
}

/** Runs a command whose words hold no blanks; returns what it printed. */
export function run(command: string): string {
  const [file = "", ...args] = command.split(" ");
  return execFileSync(file, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
