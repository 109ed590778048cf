/** The isolation claim's pure parts: cases that differ in one value, frames, and what the maps must show. */
import { expect, test } from "vitest";
import { decodeDatagram, encodeDatagram } from "../../src/cli/demo/hostile-frame.ts";
import { listRequestCases } from "../../src/cli/demo/isolation-cases.ts";
import {
  findEntries,
  forwardedAs,
  hasArrived,
  isInMaps,
  isProgrammed,
  packetFor,
  wasForwarded,
} from "../../src/cli/demo/isolation-effect.ts";
import { listDirections, makeFlow, plainValues } from "../../src/cli/demo/isolation-flows.ts";
import { addProbes, PROBE_MACS } from "../../src/cli/demo/isolation-lab.ts";
import { judgeAnswer, makeRequest } from "../../src/cli/demo/isolation-request.ts";
import type { FastPathDump } from "../../src/cli/demo/read-fast-path-maps.ts";
import { STATE_ACTIVE, STATE_QUIESCING } from "../../src/fast-path/bpf/layout.ts";
import type { LabDefinition } from "../../src/lab/definition.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import type { Epoch, FlowDirection, OffloadFlow } from "../../src/offload-protocol/messages.ts";

const CASES = listRequestCases();

/** `original.match.vnic` → value. */
function flatten(flow: OffloadFlow): Map<string, string> {
  const flat = new Map<string, string>();
  const directions = { original: flow.original, reply: flow.reply };
  for (const [name, direction] of Object.entries(directions)) {
    for (const [part, members] of Object.entries(direction ?? {})) {
      for (const [member, value] of Object.entries(members as object)) {
        flat.set(`${name} ${part} ${member}`, String(value));
      }
    }
  }
  return flat;
}

test("there is one case for each member of match, rewrite and egress of both directions", () => {
  const members = [
    ...["vnic", "source-address", "destination-address", "source-port", "destination-port"].map(
      (leaf) => `match ${leaf}`,
    ),
    ...["source-address", "destination-address", "source-port", "destination-port"].map(
      (leaf) => `rewrite ${leaf}`,
    ),
    "egress vnic",
    "egress next-hop",
  ];
  const expected = ["original", "reply"].flatMap((direction) =>
    members.map((member) => `request-offload ${direction} ${member}`),
  );
  const fields = CASES.map(({ field }) => field);
  const addressesAndPorts = expected.filter((field) => /address|port/.test(field));
  const ofIpv6 = addressesAndPorts.map((field) => `${field} (IPv6)`);
  expect(fields.sort()).toEqual([...expected, ...ofIpv6].sort());
});

test.each(CASES.map((one) => [one.field, one] as const))(
  "%s: the victim's message and the hostile tenant's own differ in that value alone",
  (field, { flow, twin }) => {
    const [before, after] = [flatten(flow), flatten(twin)];
    expect([...before.keys()]).toEqual([...after.keys()]);
    const differing = [...before].filter(([name, value]) => after.get(name) !== value);
    const [, direction, part, leaf = ""] = field.split(" ");
    const camel = leaf.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    expect(differing.map(([name]) => name)).toContain(`${direction} ${part} ${camel}`);
    // In both directions the reply mirrors the original, so one value stands twice.
    const isMirrored = direction === "reply" && /address|port/.test(leaf);
    expect(new Set(differing.map(([, value]) => value)).size).toBe(1);
    expect(differing.length).toBe(isMirrored ? 2 : 1);
  },
);

test("no two flows match the same packets, so every packet belongs to one case", () => {
  const keys = CASES.flatMap(({ flow }) =>
    listDirections(flow).map(({ match }) => JSON.stringify(match)),
  );
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.length).toBe(57);
});

test("addProbes() gives both tenants equal MAC addresses, and the victim more", () => {
  const lab = addProbes(readLabFile(defaultLabFile()));
  const probes = lab.tenants.map(({ appliances }) =>
    appliances.find(({ name }) => name === "probe")?.interfaces.map(({ mac }) => mac),
  );
  expect(probes[1]?.slice(0, 2)).toEqual(probes[0]);
  expect(probes.map((macs) => macs?.length)).toEqual([2, 4]);
  for (const { hosts, appliances } of readLabFile(defaultLabFile()).tenants) {
    expect([...hosts, ...appliances].some(({ name }) => name.startsWith("probe"))).toBe(false);
  }
});

test("addProbes() leaves a third tenant alone, and wants two", () => {
  const three: LabDefinition = {
    name: "three",
    adminPort: 0,
    tenants: ["red", "blue", "green"].map((name) => ({
      name,
      segments: [],
      externalPools: [],
      appliances: [],
      hosts: [],
    })),
  };
  const counts = addProbes(three).tenants.map(({ appliances }) => appliances.length);
  expect(counts).toEqual([1, 1, 0]);
  const one = { ...three, tenants: three.tenants.slice(0, 1) };
  expect(() => addProbes(one)).toThrow("between two tenants");
});

const FLOW = makeFlow(1n, "out", plainValues("out", 1), { hasReply: true });
const SLOT = 7;

/** What the maps hold when the flow is programmed. */
function dumpOf(flow: OffloadFlow, change: object = {}): FastPathDump {
  const entries = listDirections(flow).map(({ match, rewrite, egress }: FlowDirection, index) => ({
    state: STATE_ACTIVE,
    vmSlot: SLOT,
    isReply: index === 1,
    isConsistent: true,
    action: "",
    direction: {
      segmentId: 3,
      destinationMac: match.vnic,
      protocol: match.protocol,
      sourceAddress: match.sourceAddress,
      destinationAddress: match.destinationAddress,
      sourcePort: match.sourcePort,
      destinationPort: match.destinationPort,
      newSourceAddress: rewrite.sourceAddress ?? match.sourceAddress,
      newDestinationAddress: rewrite.destinationAddress ?? match.destinationAddress,
      newSourcePort: rewrite.sourcePort ?? match.sourcePort,
      newDestinationPort: rewrite.destinationPort ?? match.destinationPort,
      newSourceMac: egress.vnic,
      newDestinationMac: egress.nextHop,
      egressPortId: 1,
      mtuBytes: egress.mtuBytes,
    },
    ...change,
  }));
  return { segments: {}, vnics: [], slots: [], entries };
}

test("isProgrammed() wants every direction, active, complete, under the VM's slot", () => {
  expect(isProgrammed(dumpOf(FLOW), FLOW, SLOT)).toBe(true);
  expect(isProgrammed(dumpOf(FLOW), FLOW, SLOT + 1)).toBe(false);
  expect(isProgrammed(dumpOf(FLOW, { state: STATE_QUIESCING }), FLOW, SLOT)).toBe(false);
  expect(isProgrammed(dumpOf(FLOW, { isConsistent: false }), FLOW, SLOT)).toBe(false);
  const half = dumpOf(FLOW);
  expect(isProgrammed({ ...half, entries: half.entries.slice(1) }, FLOW, SLOT)).toBe(false);
});

test("isInMaps() sees any part of a flow, on any segment, in any state, under any slot", () => {
  const half = dumpOf(FLOW, { state: STATE_QUIESCING, vmSlot: 99 });
  expect(isInMaps({ ...half, entries: half.entries.slice(1) }, FLOW)).toBe(true);
  expect(isInMaps({ ...half, entries: [] }, FLOW)).toBe(false);
  expect(findEntries(half, FLOW.original)).toHaveLength(1);
});

test("a frame that only was flooded is not forwarded; one that was changed, or crossed over, is", () => {
  const sent = packetFor("hostile", FLOW.original, "t 1");
  const flooded = { ...sent, host: "server" } as const;
  expect(wasForwarded(sent, [flooded])).toBe(false);
  const datagram = forwardedAs(FLOW.original, "t 1");
  expect(wasForwarded(sent, [{ side: "hostile", host: "server", datagram }])).toBe(true);
  expect(wasForwarded(sent, [{ ...sent, side: "victim" }])).toBe(true);
  const other = { ...datagram, tag: "t 2" };
  expect(wasForwarded(sent, [{ side: "hostile", host: "server", datagram: other }])).toBe(false);
});

test("hasArrived() wants the rewritten packet at the host that has the next hop's address", () => {
  const datagram = forwardedAs(FLOW.original, "t 1");
  expect(datagram.destinationMac).toBe(PROBE_MACS.server);
  expect(hasArrived("victim", datagram, [{ side: "victim", host: "server", datagram }])).toBe(true);
  expect(hasArrived("victim", datagram, [{ side: "victim", host: "far", datagram }])).toBe(false);
  expect(hasArrived("victim", datagram, [{ side: "hostile", host: "server", datagram }])).toBe(
    false,
  );
  const wrong = { ...datagram, sourcePort: 1 };
  expect(
    hasArrived("victim", datagram, [{ side: "victim", host: "server", datagram: wrong }]),
  ).toBe(false);
});

test.each([4, 6] as const)(
  "a marked IPv%i datagram survives the wire; others are passed over",
  (family) => {
    const values = plainValues("out", 1, family);
    const { original } = makeFlow(1n, "out", values, { hasReply: false });
    const { datagram } = packetFor("victim", original, "run 3 0 victim");
    const frame = encodeDatagram(datagram);
    expect(decodeDatagram(frame)).toEqual(datagram);
    expect(decodeDatagram(Buffer.concat([frame, Buffer.alloc(9)]))).toEqual(datagram);
    for (const length of [0, 13, 14, 33, 41, 56]) {
      expect(decodeDatagram(frame.subarray(0, length))).toBeUndefined();
    }
    const tcp = Buffer.from(frame);
    tcp[family === 4 ? 23 : 20] = 6;
    expect(decodeDatagram(tcp)).toBeUndefined();
  },
);

test.each([
  [{ kind: "request-offload", results: [] }, true],
  [
    { kind: "request-offload", results: [{ flowId: 1n, outcome: "refused", reason: "malformed" }] },
    false,
  ],
  [{ kind: "withdraw-offload", results: [] }, false],
  [{ kind: "withdraw-offload", results: [{ flowId: 1n, outcome: "no-such-flow" }] }, false],
  [{ kind: "update-offload", outcome: "refused", reason: "no-such-flow", version: 0n }, false],
  [{ kind: "update-offload", outcome: "updated", version: 2n }, true],
  [{ kind: "error", messageId: "1", errors: [] }, false],
] as const)("judgeAnswer() of %o is %s; what is unclear counts as done", (answer, isDone) => {
  expect(judgeAnswer(answer).isDone).toBe(isDone);
});

test("a request's bytes depend on nothing but the request", () => {
  const epoch = "0123456789abcdef" as Epoch;
  const make = () => makeRequest("a", { kind: "renew-lease", epoch }).bytes;
  expect(make().equals(make())).toBe(true);
});
