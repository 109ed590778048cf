/** The Ethernet cards that the kernel found. Effect: reads sysfs. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { KernelLink } from "./network-script.ts";

/** linux/if_arp.h: ARPHRD_ETHER. */
const ETHERNET = "1";

/** Returns cards (not bridges, vlans or tunnels: those have no device) in the kernel's order. */
export function listKernelLinks(directory: string): KernelLink[] {
  const read = (name: string, file: string): string =>
    readFileSync(join(directory, name, file), "utf8").trim();
  return readdirSync(directory)
    .filter((name) => existsSync(join(directory, name, "device")))
    .filter((name) => read(name, "type") === ETHERNET)
    .map((name) => ({ name, mac: read(name, "address"), index: Number(read(name, "ifindex")) }))
    .sort((left, right) => left.index - right.index)
    .map(({ mac, name }) => ({ name, mac }));
}
