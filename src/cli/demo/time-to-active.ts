/** How long flows took from conntrack event to `active`, as the appliances saw it. Effect: NETCONF `get`. */
import type { DemoContext } from "./context.ts";
import type { DemoReport } from "./report.ts";

const NS_STATE = "urn:flowlift:offload-state";

/** Returns the worst tenant's percentiles; null where an appliance told none. */
export async function readTimeToActive(context: DemoContext): Promise<DemoReport["offload"]> {
  const replies = await Promise.all(
    context.tenants.map(({ netconf }) =>
      netconf.mustCall(`<get><filter><offload-state xmlns="${NS_STATE}"/></filter></get>`),
    ),
  );
  const worst = (name: string): number | null => {
    const values = replies.map((reply) => readLeaf(reply, name));
    return values.some((value) => value === null) ? null : Math.max(...values.map(Number));
  };
  return { timeToActiveMsP50: worst("p50"), timeToActiveMsP99: worst("p99") };
}

function readLeaf(reply: string, name: string): number | null {
  const text = new RegExp(`<${name}>([0-9.]+)</${name}>`).exec(reply)?.[1];
  return text === undefined ? null : Number(text);
}
