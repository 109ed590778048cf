/** How long tests wait for what must come about: longer where the processor is emulated (`test --guest`). */

const SLOWNESS = Number(process.env["FLOWLIFT_TEST_SLOWNESS"] ?? "1");

/** Returns the wait on this machine. */
export function patience(milliseconds: number): number {
  return milliseconds * SLOWNESS;
}
