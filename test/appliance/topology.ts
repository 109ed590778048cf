/** The network that most system tests of the data plane use. */
import type { Testbed } from "./testbed.ts";
import type { Probe } from "./traffic.ts";

export const DMZ_HOSTS = ["one", "two", "three"] as const;
export const DATA_INTERFACES = ["lan", "wan", "dmz1", "dmz2", "dmz3"] as const;

/**
 * client (10.0.0.10, .11) - lan - vnf - wan - server (192.0.2.10), both families; behind vnf also three hosts
 * (10.9.N.2). The pool 192.0.2.100-103 are addresses of vnf's wan, so that it answers ARP for them.
 */
export function buildTopology(bed: Testbed): void {
  bed.link(
    { netns: "client", dev: "eth0", addresses: ["10.0.0.10/24", "10.0.0.11/24", "fd00:a::10/64"] },
    { netns: "vnf", dev: "lan", addresses: ["10.0.0.1/24", "fd00:a::1/64"] },
  );
  const pool = [100, 101, 102, 103].map((host) => `192.0.2.${host}/32`);
  bed.link(
    { netns: "server", dev: "eth0", addresses: ["192.0.2.10/24", "fd00:b::10/64"] },
    { netns: "vnf", dev: "wan", addresses: ["192.0.2.1/24", "fd00:b::1/64", ...pool] },
  );
  DMZ_HOSTS.forEach((name, at) => {
    const net = `10.9.${at + 1}`;
    bed.link(
      { netns: name, dev: "eth0", addresses: [`${net}.2/24`] },
      { netns: "vnf", dev: `dmz${at + 1}`, addresses: [`${net}.1/24`] },
    );
    bed.exec(name, ["ip", "route", "add", "default", "via", `${net}.1`]);
  });
  bed.exec("client", ["ip", "route", "add", "default", "via", "10.0.0.1"]);
  bed.exec("client", ["ip", "-6", "route", "add", "default", "via", "fd00:a::1"]);
  bed.exec("server", ["ip", "-6", "route", "add", "default", "via", "fd00:b::1"]);
  bed.exec("server", ["ip", "route", "add", "10.0.0.0/8", "via", "192.0.2.1"]);
}

export function tcp(host: string, port = 80, source?: string): Probe {
  return { protocol: "tcp", host, port, ...(source === undefined ? {} : { source }) };
}

export function udp(host: string, port = 80): Probe {
  return { protocol: "udp", host, port };
}
