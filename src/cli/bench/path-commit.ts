/** How long a commit of 1,000 ACEs takes, as a NETCONF client sees it. Effect: commits on red's appliance. */
import { type Figure, makeFigure } from "./report.ts";
import type { BenchRig } from "./rig.ts";

const ACES = 1000;
const ACL_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-access-control-list";

function formatAces(round: number): string {
  return Array.from({ length: ACES }, (_, index) => {
    const address = `203.0.${round % 256}.${index % 256}/32`;
    const port = 1000 + Math.floor(index / 256);
    return (
      `<ace><name>ace-${index}</name><matches><ipv4><destination-ipv4-network>${address}` +
      "</destination-ipv4-network></ipv4><tcp><destination-port><operator>eq</operator>" +
      `<port>${port}</port></destination-port></tcp></matches>` +
      "<actions><forwarding>drop</forwarding></actions></ace>"
    );
  }).join("");
}

/** Each round replaces a thousand ACEs attached at an interface. */
export async function measureCommit(rig: BenchRig, rounds: number): Promise<Figure> {
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await rig.netconf.edit(
      `<acls xmlns="${ACL_NAMESPACE}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">` +
        '<acl nc:operation="replace"><name>bench</name><type>ipv4-acl-type</type>' +
        `<aces>${formatAces(round)}</aces></acl><attachment-points><interface>` +
        "<interface-id>inside</interface-id><ingress><acl-sets><acl-set><name>bench</name></acl-set>" +
        "</acl-sets></ingress></interface></attachment-points></acls>",
    );
    const started = performance.now();
    await rig.netconf.commit();
    samples.push(performance.now() - started);
  }
  await rig.netconf.edit(
    `<acls xmlns="${ACL_NAMESPACE}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">` +
      '<acl nc:operation="delete"><name>bench</name></acl><attachment-points><interface>' +
      '<interface-id>inside</interface-id><ingress><acl-sets><acl-set nc:operation="delete">' +
      "<name>bench</name></acl-set></acl-sets></ingress></interface></attachment-points></acls>",
  );
  await rig.netconf.commit();
  const target = { of: "value", bound: "max", at: 300 } as const;
  return makeFigure({ id: "commit-1000-aces", unit: "ms", target }, samples);
}
