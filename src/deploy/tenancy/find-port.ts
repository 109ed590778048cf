/**
 * Finds the host's end of a virtual network card by its MAC address.
 *
 * Effect: none by itself: links and bridge entries are given; `listHostLinks` reads them from the kernel.
 * Two signs count: a port of a bridge whose own address is the card's with `fe` in front (what libvirt gives its
 * taps), or the only port behind which a bridge has seen the address.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import type { MacAddress } from "../../lib/inet/address.ts";
import { RouteTable } from "../../lib/netlink/route.ts";
import { type Link, type Neighbour, NUD_PERMANENT } from "../../lib/netlink/route-messages.ts";

export type PortProblem = {
  readonly kind: "port-unknown" | "port-ambiguous";
  readonly message: string;
};

/** Returns the interface's name. */
export function findPort(
  mac: MacAddress,
  links: readonly Link[],
  neighbours: readonly Neighbour[],
): Result<string, PortProblem> {
  const ports = links.filter(({ master }) => master !== undefined);
  const tapMac = `fe${mac.slice(2)}`;
  const taps = ports.filter((link) => link.mac === tapMac);
  const seen = new Set(
    neighbours
      .filter((entry) => entry.family === "bridge" && entry.mac === mac)
      .filter(({ state }) => (state & NUD_PERMANENT) === 0)
      .map(({ linkIndex }) => linkIndex),
  );
  const found = taps.length > 0 ? taps : ports.filter(({ index }) => seen.has(index));
  const [port, ...others] = found;
  const how = `write ${mac}=SEGMENT@INTERFACE`;
  if (port === undefined) {
    const message = `No port of a bridge of this machine leads to ${mac}; ${how}`;
    return err({ kind: "port-unknown", message });
  }
  if (others.length > 0) {
    const names = found.map(({ name }) => name).join(", ");
    const message = `Several ports lead to ${mac} (${names}); ${how}`;
    return err({ kind: "port-ambiguous", message });
  }
  return ok(port.name);
}

/** Returns the links and bridge entries of the namespace that this process runs in. */
export async function listHostLinks(): Promise<{
  readonly links: readonly Link[];
  readonly neighbours: readonly Neighbour[];
}> {
  const routes = new RouteTable();
  try {
    const links = await routes.listLinks();
    return { links, neighbours: await routes.listNeighbours("bridge") };
  } finally {
    routes.close();
  }
}
