/** Reads what `ping` says. Pure. */

export interface PingResult {
  readonly sent: number;
  readonly received: number;
}

/** Returns the counts of ping's summary, or undefined when there is none. */
export function parsePing(stdout: string): PingResult | undefined {
  const match = /^(\d+) packets transmitted, (\d+) received/m.exec(stdout);
  return match === null ? undefined : { sent: Number(match[1]), received: Number(match[2]) };
}

/** Returns the words of an echo of `count` packets, `intervalMs` apart. */
export function formatPing(target: string, count: number, intervalMs = 10): string[] {
  return ["ping", "-n", "-q", "-W", "2", "-c", `${count}`, "-i", `${intervalMs / 1000}`, target];
}
