/** What the guest's tests share: the traffic lab with an agent and an echo server, and patience. */
import { join } from "node:path";
import type { FastPathDriver } from "../../src/fast-path/driver.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { SERVER } from "../fast-path/traffic-flow.ts";
import { TrafficLab } from "../fast-path/traffic-lab.ts";
import { patience } from "../support/patience.ts";

const SCRIPTS = join(findProjectRoot(), "test", "fast-path");
export const UDP_PORT = 7000;
export const TCP_PORT = 7001;
export const UDP_BYTES = 600;
/** What never comes true is told after this. */
const PATIENCE_MS: number = patience(10_000);

export async function waitFor(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`this never came true: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A traffic lab whose agent serves and whose server echoes; `shape` changes its wiring first. */
export async function openGuestLab(
  shape: (lab: TrafficLab) => void = () => {},
): Promise<{ readonly lab: TrafficLab; readonly driver: FastPathDriver }> {
  const lab = new TrafficLab();
  try {
    shape(lab);
    await lab.startAgent();
    const driver = await lab.connect();
    lab.spawn("s", process.execPath, join(SCRIPTS, "udp-echo.mjs"), "server", `${UDP_PORT}`);
    lab.spawn("s", process.execPath, join(SCRIPTS, "tcp-exchange.mjs"), "server", `${TCP_PORT}`);
    await waitFor(() => {
      const listening = lab.exec("s", "ss", "-lntuH");
      return listening.includes(`:${UDP_PORT}`) && listening.includes(`:${TCP_PORT}`);
    });
    return { lab, driver };
  } catch (error) {
    lab.destroy();
    throw error;
  }
}

/** How many of `count` requests the server answered. */
export async function askUdp(lab: TrafficLab, sourcePort: number, count: number): Promise<number> {
  const words = ["client", SERVER[4], UDP_PORT, sourcePort, count, UDP_BYTES].map(String);
  const script = join(SCRIPTS, "udp-echo.mjs");
  return Number(await lab.finish("c", process.execPath, script, ...words));
}

/** Sends `bytes` there and back over one connection; returns the program's verdict. */
export function exchangeTcp(lab: TrafficLab, sourcePort: number, bytes: number): Promise<string> {
  const words = ["client", SERVER[4], TCP_PORT, sourcePort, bytes].map(String);
  return lab.finish("c", process.execPath, join(SCRIPTS, "tcp-exchange.mjs"), ...words);
}
