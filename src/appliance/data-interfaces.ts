/** The data interfaces as the kernel has them now. Effect: rtnetlink reads. */
import { type IpPrefix, type MacAddress, maskAddress } from "../lib/inet/address.ts";
import type { RouteTable } from "../lib/netlink/route.ts";
import type { ApplianceInterface } from "../lib/service/provider.ts";

/** Stands for an interface that does not exist yet; such a one is never told to the controller. */
const NO_MAC = "00:00:00:00:00:00" as MacAddress;

/** Returns one entry for each name, in order; an interface that is missing has mtuBytes 0. */
export async function readInterfaces(
  routes: RouteTable,
  names: readonly string[],
): Promise<readonly ApplianceInterface[]> {
  const links = await routes.listLinks();
  const addresses = await routes.listAddresses();
  return names.map((name, index): ApplianceInterface => {
    const link = links.find((candidate) => candidate.name === name);
    const prefixes = addresses
      .filter((address) => link !== undefined && address.linkIndex === link.index)
      .map(
        (address): IpPrefix => ({
          address: maskAddress(address.address, address.lengthBits),
          lengthBits: address.lengthBits,
        }),
      );
    return {
      name,
      markIndex: index + 1,
      mac: link?.mac ?? NO_MAC,
      mtuBytes: link?.mtuBytes ?? 0,
      prefixes,
    };
  });
}

/** Returns those that exist. */
export function presentInterfaces(
  interfaces: readonly ApplianceInterface[],
): readonly ApplianceInterface[] {
  return interfaces.filter((item) => item.mtuBytes > 0);
}
