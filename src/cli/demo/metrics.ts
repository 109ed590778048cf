/** Reads the controller's metrics as an operator would. Effect: HTTP on loopback. */
import { readFileSync } from "node:fs";
import type { Lab } from "../../lab/lab.ts";
import { FlowliftError } from "../../lib/base/errors.ts";

/** Metric name with its labels → value. */
export type Metrics = ReadonlyMap<string, number>;

/** Returns the body of one page of the controller's admin endpoint. */
export async function readAdmin(lab: Lab, path: string): Promise<string> {
  const controller = lab.description.controller;
  if (controller === undefined) throw new FlowliftError("LAB_FAILED", "The lab has no controller");
  const token = readFileSync(controller.tokenFile, "utf8").trim();
  const answer = await fetch(`${controller.adminUrl}${path}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (!answer.ok) {
    throw new FlowliftError("LAB_FAILED", `The controller answered ${path} with ${answer.status}`);
  }
  return await answer.text();
}

/** Returns every sample of /metrics (Prometheus text format). */
export async function readMetrics(lab: Lab): Promise<Metrics> {
  const metrics = new Map<string, number>();
  for (const line of (await readAdmin(lab, "/metrics")).split("\n")) {
    const match = /^([a-zA-Z_:].*) ([^ ]+)$/.exec(line);
    if (match !== null) metrics.set(match[1] ?? "", Number(match[2]));
  }
  return metrics;
}
