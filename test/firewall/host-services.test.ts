import { expect, test } from "vitest";
import { parseFirewallConfig } from "../../src/firewall/config.ts";
import { compileHostServices } from "../../src/firewall/host-services.ts";

const CONTEXT = { interfaces: [] };

function rules(data: Readonly<Record<string, unknown>>): string[] {
  const config = parseFirewallConfig(data, CONTEXT);
  if (!config.ok) throw new Error(config.error.message);
  return compileHostServices(config.value, CONTEXT).map((rule) => JSON.stringify(rule));
}

const zones = (hostInbound: readonly string[]) => ({
  "flowlift-zones:zones": {
    zone: [{ name: "lan", interface: ["eth0"], "host-inbound": hostInbound }],
  },
});

test.each([
  ["restconf", "flowlift-restconf:restconf", 443],
  ["netconf-tls", "flowlift-tls:netconf-tls", 6513],
])(
  "%s has its port open only where it is enabled and a zone may use it",
  (service, container, usual) => {
    const enabled = (port?: number) => ({
      [container]: { enabled: true, ...(port === undefined ? {} : { port }) },
    });
    const opens = (data: Readonly<Record<string, unknown>>, port: number): number =>
      rules(data).filter((rule) => rule.includes(`${port}`)).length;
    expect(opens({ ...enabled(), ...zones([service]) }, usual)).toBe(1);
    expect(opens({ ...enabled(7_000), ...zones([service]) }, 7_000)).toBe(1);
    expect(opens({ ...enabled(), ...zones(["ping"]) }, usual)).toBe(0);
    expect(opens({ [container]: { enabled: false }, ...zones([service]) }, usual)).toBe(0);
    expect(opens({ ...enabled() }, usual)).toBe(1); // Without zones everybody may.
  },
);
