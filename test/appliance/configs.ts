/** Configurations in RFC 7951 form for tests. */

type Data = Record<string, unknown>;

/** NAPT44 on `wan` with the given pool, and port forwardings. */
export function natConfig(
  pool: readonly string[],
  mappings: readonly {
    external: string;
    port: number;
    internal: string;
    internalPort: number;
  }[] = [],
  extra: Data = {},
): Data {
  const policy = {
    id: 1,
    "external-ip-address-pool": pool.map((prefix, index) => ({
      "pool-id": index + 1,
      "external-ip-pool": prefix,
    })),
    "external-realm": { "external-interface": "wan" },
    ...extra,
  };
  const entries = mappings.map((mapping, index) => ({
    index: index + 1,
    type: "static",
    "transport-protocol": 6,
    "internal-src-address": `${mapping.internal}/32`,
    "internal-src-port": { "start-port-number": mapping.internalPort },
    "external-src-address": `${mapping.external}/32`,
    "external-src-port": { "start-port-number": mapping.port },
  }));
  const table = entries.length === 0 ? {} : { "mapping-table": { "mapping-entry": entries } };
  return { "ietf-nat:nat": { instances: { instance: [{ id: 1, policy: [policy], ...table }] } } };
}

export interface TestAce {
  readonly name: string;
  readonly matches?: Data;
  readonly forwarding: "accept" | "drop" | "reject";
}

export function acl(name: string, aces: readonly TestAce[], type?: "ipv4" | "ipv6"): Data {
  return {
    name,
    ...(type === undefined ? {} : { type: `ietf-access-control-list:${type}-acl-type` }),
    aces: {
      ace: aces.map((ace) => ({
        name: ace.name,
        matches: ace.matches ?? {},
        actions: { forwarding: `ietf-access-control-list:${ace.forwarding}` },
      })),
    },
  };
}

/** ACLs and where they are attached: [interface, direction, ACL name]. */
export function aclConfig(
  acls: readonly Data[],
  attachments: readonly (readonly [string, "ingress" | "egress", string])[] = [],
): Data {
  const ids = [...new Set(attachments.map(([id]) => id))];
  const points = ids.map((id) => {
    const point: Data = { "interface-id": id };
    for (const direction of ["ingress", "egress"]) {
      const sets = attachments.filter((item) => item[0] === id && item[1] === direction);
      if (sets.length === 0) continue;
      point[direction] = { "acl-sets": { "acl-set": sets.map((item) => ({ name: item[2] })) } };
    }
    return point;
  });
  return {
    "ietf-access-control-list:acls": {
      acl: acls,
      ...(points.length === 0 ? {} : { "attachment-points": { interface: points } }),
    },
  };
}

/** Zones `inside` (lan) and `outside` (wan) with the given policies. */
export function zoneConfig(policies: readonly Data[], hostInbound: readonly string[] = []): Data {
  return {
    "flowlift-zones:zones": {
      zone: [
        { name: "inside", interface: ["lan"], "host-inbound": hostInbound },
        { name: "outside", interface: ["wan"] },
      ],
      policy: policies,
    },
  };
}

export function virtualService(
  name: string,
  vip: string,
  servers: readonly (readonly [string, string, number])[],
  extra: Data = {},
): Data {
  return {
    name,
    vip,
    protocol: "tcp",
    port: 80,
    "real-server": servers.map(([server, address, weight]) => ({ name: server, address, weight })),
    ...extra,
  };
}

export function lbConfig(services: readonly Data[]): Data {
  return { "flowlift-load-balancer:load-balancer": { "virtual-service": services } };
}
