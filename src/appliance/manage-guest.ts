/**
 * What the management process does besides in a VM: the management port, first boot's report, the console.
 *
 * Effect: reads the report, opens the port, asks the helper to show the banner.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describeError } from "../lib/base/errors.ts";
import { connectLocalRpc } from "../lib/base/local-rpc.ts";
import type { Log } from "../lib/base/log.ts";
import { GUEST_RELEASE_FILE } from "../lib/guest/contract.ts";
import type { DayZeroState } from "../management/startup.ts";
import type { FirstBootReport } from "./first-boot/report.ts";
import { readImageVersion } from "./image-version.ts";

const BANNER_TIMEOUT_MS = 10_000;
const BANNER_ATTEMPTS_MAX = 20;
const BANNER_RETRY_MS = 500;
const DAY_ZERO_DOCUMENT = "day0";

/** Undefined outside VMs, and when the report cannot be read: then the log says so. */
export function readFirstBootReport(
  file: string | undefined,
  log: Log,
): FirstBootReport | undefined {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8")) as FirstBootReport;
  } catch (error) {
    log.error("First boot's report cannot be read", { reason: describeError(error) });
    return undefined;
  }
}

/** Returns members of `flowlift-system:appliance/state`. */
export function formatFirstBoot(
  report: FirstBootReport | undefined,
  dayZero: DayZeroState,
): Record<string, unknown> {
  if (report === undefined) return {};
  const dayZeroProblem =
    dayZero.problem === undefined
      ? []
      : [{ document: DAY_ZERO_DOCUMENT, message: dayZero.problem }];
  const notes = report.notes.map((message) => ({ document: "machine", message }));
  const problems = [...notes, ...report.problems, ...dayZeroProblem];
  const version = readImageVersion(GUEST_RELEASE_FILE);
  return {
    ...(version === undefined ? {} : { "image-version": version }),
    "first-boot": {
      source: report.source,
      ...(report.instanceId === undefined ? {} : { "instance-id": report.instanceId }),
      "new-instance": report.isNewInstance,
      "day-0": dayZero.outcome,
      problem: problems.map(({ document, message, ...rest }, index) => ({
        number: index + 1,
        document,
        ...("line" in rest ? { line: rest.line } : {}),
        message,
      })),
    },
  };
}

/** NETCONF is served: the console shows how to reach it, and what went wrong. */
export async function showBanner(
  helperSocket: string,
  dayZero: DayZeroState,
  log: Log,
): Promise<void> {
  const problems =
    dayZero.problem === undefined
      ? []
      : [`${DAY_ZERO_DOCUMENT}: ${dayZero.problem}; the VM started without it`];
  let failure: unknown;
  for (let attempt = 0; attempt < BANNER_ATTEMPTS_MAX; attempt++) {
    try {
      await askHelper(helperSocket, problems);
      return;
    } catch (error) {
      failure = error; // The helper may be starting.
      await sleep(BANNER_RETRY_MS);
    }
  }
  log.warn("The console's banner is not shown", { reason: describeError(failure) });
}

async function askHelper(helperSocket: string, problems: readonly string[]): Promise<void> {
  const helper = await connectLocalRpc(helperSocket, {});
  try {
    await helper.call("show-banner", { problems }, BANNER_TIMEOUT_MS);
  } finally {
    helper.close();
  }
}
