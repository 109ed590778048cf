/** README's table of limits says what the code does, and limits that meet each other fit. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ADMITTING_RULES_MAX } from "../src/appliance/policy.ts";
import { RULESET_INTERFACES_MAX } from "../src/appliance/ruleset.ts";
import { REVOCATION_DEADLINE_MS } from "../src/appliance/settings.ts";
import {
  EVENTS_IN_FLIGHT_MAX,
  EVENTS_PER_FLOW_MAX,
  EVENTS_UNACKED_MAX,
} from "../src/controller/event-log.ts";
import { RESULTS_PER_WITHDRAW_MAX } from "../src/controller/vm-requests.ts";
import {
  EVENTS_PER_MESSAGE_MAX,
  STATISTICS_PER_MESSAGE_MAX,
} from "../src/controller/vm-session.ts";
import { FLOWS_MAX_LIMIT } from "../src/fast-path/agent-settings.ts";
import { HOST_PORTS_MAX, VM_SLOTS_MAX } from "../src/fast-path/driver.ts";
import { FLOWS_MAX_DEFAULT, VNICS_MAX } from "../src/fast-path/flow-registry.ts";
import { findProjectRoot } from "../src/lib/base/project-root.ts";
import { MARK_INGRESS_MASK, MARK_INGRESS_SHIFT } from "../src/lib/conntrack/mark-bits.ts";
import type { IpAddress, MacAddress } from "../src/lib/inet/address.ts";
import { MESSAGE_BYTES_MAX as NETCONF_MESSAGE_BYTES_MAX } from "../src/lib/netconf/framing.ts";
import { WRITE_QUEUE_BYTES_MAX } from "../src/lib/serial/port.ts";
import { INPUT_BYTES_MAX } from "../src/lib/yang/input-text.ts";
import { SESSIONS_MAX } from "../src/management/session-registry.ts";
import { CONNECTIONS_MAX } from "../src/management/ssh-server.ts";
import {
  FLOWS_QUEUED_MAX,
  FLOWS_TRACKED_MAX,
  REQUESTS_IN_FLIGHT_MAX,
} from "../src/offload/limits.ts";
import { VM_LIMITS_DEFAULT } from "../src/offload-bridge/limits.ts";
import { VMS_MAX } from "../src/offload-bridge/settings.ts";
import { UPSTREAM_QUEUE_BYTES_MAX } from "../src/offload-bridge/vm-core.ts";
import {
  encodeNotification,
  encodeReply,
  encodeRpc,
  MESSAGE_ID_CHARACTERS_MAX,
} from "../src/offload-protocol/codec-xml.ts";
import { RULE_TEXT_MAX } from "../src/offload-protocol/decode-flow.ts";
import {
  CHUNK_BYTES_MAX,
  type Epoch,
  FLOW_IDS_PER_WITHDRAW_MAX,
  FLOWS_PER_PAGE_MAX,
  FLOWS_PER_REQUEST_MAX,
  type FlowDirection,
  MESSAGE_BYTES_MAX,
  type OffloadFlow,
  RULES_PER_FLOW_MAX,
} from "../src/offload-protocol/messages.ts";
import { FRAME_BYTES_MAX } from "../src/offload-protocol/upstream.ts";

const ROOT = findProjectRoot();
const ROWS_MIN = 40;

interface Row {
  readonly limit: string;
  readonly value: string;
  readonly name: string;
  readonly file: string;
}

const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const section = /^## Limits\n([\s\S]*?)(?=^## )/m.exec(readme)?.[1] ?? "";
const rows: Row[] = [
  ...section.matchAll(/^\| ([^|*]+) \| ([^|]+) \| `([^`]+)` in `([^`]+)` \|$/gm),
].map(([, limit = "", value = "", name = "", file = ""]) => ({ limit, value, name, file }));

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  s: 1_000,
  d: 1,
  MiB: 1024 * 1024,
};

/** Returns bytes, milliseconds, days or pieces. */
function numberOf(value: string): number {
  const [, digits = "", unit = ""] = /^([\d,]+) ?(\w*)$/.exec(value) ?? [];
  return Number(digits.replaceAll(",", "")) * (UNITS[unit] ?? Number.NaN);
}

async function valueInCode({ name, file }: Row): Promise<unknown> {
  if (file.endsWith(".yang")) return valueInModule(name, readFileSync(join(ROOT, file), "utf8"));
  const module = (await import(join(ROOT, file))) as Record<string, unknown>;
  const [first = "", member] = name.split(".");
  const value = module[first];
  return member === undefined ? value : (value as Record<string, unknown> | undefined)?.[member];
}

/** Returns a leaf's default or a list's `max-elements`. */
function valueInModule(name: string, module: string): number {
  const leaf = new RegExp(`leaf ${name} \\{[^}]*\\{[^}]*\\}[^}]*default "(\\d+)"`).exec(module);
  const list = new RegExp(`list ${name} \\{[^{}]*max-elements (\\d+);`).exec(module);
  return Number((leaf ?? list)?.[1]);
}

test("every row of the table is read", () => {
  const written = section.split("\n").filter((line) => /^\| [^*-]/.test(line)).length - 1;
  expect(rows.length).toBe(written);
  expect(rows.length).toBeGreaterThan(ROWS_MIN);
});

test.each(rows)("$limit: $name is $value", async (row) => {
  expect(await valueInCode(row)).toBe(numberOf(row.value));
});

const UINT64 = (1n << 64n) - 1n;
const EPOCH = "f".repeat(16) as Epoch;
const MESSAGE_ID = "x".repeat(MESSAGE_ID_CHARACTERS_MAX);
const LONG_ADDRESS = "2001:db88:aaaa:bbbb:cccc:dddd:eeee:ffff" as IpAddress;
const MAC = "02:f1:ff:ff:ff:ff" as MacAddress;
const LONG_TIME = "2026-11-21T00:00:00.000+00:00";

const LONGEST_DIRECTION: FlowDirection = {
  match: {
    vnic: MAC,
    protocol: 255,
    sourceAddress: LONG_ADDRESS,
    destinationAddress: LONG_ADDRESS,
    sourcePort: 65_535,
    destinationPort: 65_535,
  },
  rewrite: {
    sourceAddress: LONG_ADDRESS,
    destinationAddress: LONG_ADDRESS,
    sourcePort: 65_535,
    destinationPort: 65_535,
  },
  egress: { vnic: MAC, nextHop: MAC, mtuBytes: 65_535 },
};

/** Names are the longest that need no escaping. */
const LONGEST_FLOW: OffloadFlow = {
  flowId: UINT64,
  service: "unspecified",
  rules: Array.from({ length: RULES_PER_FLOW_MAX }, () => ({
    attachment: "x".repeat(RULE_TEXT_MAX),
    direction: "ingress",
    name: "x".repeat(RULE_TEXT_MAX),
  })),
  policyTag: 0xffff_ffff,
  policyEpoch: UINT64,
  directions: "both",
  original: LONGEST_DIRECTION,
  reply: LONGEST_DIRECTION,
  idleTimeoutMs: 0xffff_ffff,
  version: UINT64,
};

const DIRECTION_COUNTERS = {
  fastPackets: UINT64,
  fastBytes: UINT64,
  passedPackets: UINT64,
  passedBytes: UINT64,
};
const COUNTERS = {
  original: DIRECTION_COUNTERS,
  reply: DIRECTION_COUNTERS,
  lastUsedMsAgo: UINT64,
};

function repeat<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

/** Every message at its longest, as text. */
const LONGEST_MESSAGES: Readonly<Record<string, () => string>> = {
  "request-offload": () =>
    encodeRpc(MESSAGE_ID, {
      kind: "request-offload",
      epoch: EPOCH,
      flows: repeat(FLOWS_PER_REQUEST_MAX, LONGEST_FLOW),
    }),
  "withdraw-offload": () =>
    encodeRpc(MESSAGE_ID, {
      kind: "withdraw-offload",
      epoch: EPOCH,
      selection: { kind: "flow-ids", flowIds: repeat(FLOW_IDS_PER_WITHDRAW_MAX, UINT64) },
    }),
  "the answer to request-offload": () =>
    encodeReply(MESSAGE_ID, {
      kind: "request-offload",
      results: repeat(FLOWS_PER_REQUEST_MAX, {
        flowId: UINT64,
        outcome: "refused",
        reason: "idle-timeout-out-of-range",
        holder: UINT64,
      }),
    }),
  "the answer to withdraw-offload": () =>
    encodeReply(MESSAGE_ID, {
      kind: "withdraw-offload",
      results: repeat(RESULTS_PER_WITHDRAW_MAX, {
        flowId: UINT64,
        outcome: "closed",
        counters: COUNTERS,
      }),
    }),
  "a page of get-flows": () =>
    encodeReply(MESSAGE_ID, {
      kind: "get-flows",
      asOfSequence: UINT64,
      more: true,
      flows: repeat(FLOWS_PER_PAGE_MAX, {
        epoch: EPOCH,
        flow: LONGEST_FLOW,
        state: "quiescing",
        counters: COUNTERS,
      }),
    }),
  "flow-events": () =>
    encodeNotification(LONG_TIME, {
      kind: "flow-events",
      events: repeat(EVENTS_PER_MESSAGE_MAX, {
        sequence: UINT64,
        epoch: EPOCH,
        flowId: UINT64,
        what: { kind: "closed", cause: "not-entitled-any-more", counters: COUNTERS },
      }),
    }),
  "flow-statistics": () =>
    encodeNotification(LONG_TIME, {
      kind: "flow-statistics",
      flows: repeat(STATISTICS_PER_MESSAGE_MAX, {
        epoch: EPOCH,
        flowId: UINT64,
        counters: COUNTERS,
      }),
    }),
};

test.each(Object.keys(LONGEST_MESSAGES))("%s at its longest fits into a message", (name) => {
  const text = LONGEST_MESSAGES[name]?.() ?? "";
  expect(Buffer.byteLength(text)).toBeGreaterThan(CHUNK_BYTES_MAX / 16);
  expect(Buffer.byteLength(text)).toBeLessThan(MESSAGE_BYTES_MAX);
});

const LEASE_DEFAULT_MS = valueInModule(
  "lease",
  readFileSync(join(ROOT, "yang/flowlift-controller.yang"), "utf8"),
);

/** Which limit may not be above which other. */
const ORDERED: readonly (readonly [claim: string, lower: number, upper: number])[] = [
  ["a chunk is part of a message", CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX],
  ["a message fits into a frame to the controller", MESSAGE_BYTES_MAX, FRAME_BYTES_MAX - 1],
  ["the bridge's queue holds a frame", FRAME_BYTES_MAX, UPSTREAM_QUEUE_BYTES_MAX],
  ["the serial port's queue holds a message", MESSAGE_BYTES_MAX, WRITE_QUEUE_BYTES_MAX],
  ["the bridge lets a whole message pass", MESSAGE_BYTES_MAX, VM_LIMITS_DEFAULT.bytesBurst],
  ["an appliance tells no more rules than a flow has", ADMITTING_RULES_MAX, RULES_PER_FLOW_MAX],
  ["what is queued is followed", FLOWS_QUEUED_MAX, FLOWS_TRACKED_MAX],
  [
    "requests under way find room in the queue",
    REQUESTS_IN_FLIGHT_MAX * FLOWS_PER_REQUEST_MAX,
    FLOWS_QUEUED_MAX,
  ],
  [
    "an answer to a withdrawal has room for every id",
    FLOW_IDS_PER_WITHDRAW_MAX,
    RESULTS_PER_WITHDRAW_MAX,
  ],
  [
    "every flow of a full default table may tell its life",
    EVENTS_PER_FLOW_MAX * FLOWS_MAX_DEFAULT,
    EVENTS_UNACKED_MAX,
  ],
  ["events under way are among the unacknowledged", EVENTS_IN_FLIGHT_MAX, EVENTS_UNACKED_MAX],
  ["a message of events is part of those under way", EVENTS_PER_MESSAGE_MAX, EVENTS_IN_FLIGHT_MAX],
  ["the default table is a possible one", FLOWS_MAX_DEFAULT, FLOWS_MAX_LIMIT],
  ["two directions of each flow have an index", 2 * FLOWS_MAX_LIMIT, 0xffff_ffff],
  ["every VM of a bridge has a slot", VMS_MAX, VM_SLOTS_MAX],
  ["every port of a host may be a vNIC", HOST_PORTS_MAX, VNICS_MAX],
  ["every session has a connection", SESSIONS_MAX, CONNECTIONS_MAX],
  [
    "the mark's bits tell every interface",
    RULESET_INTERFACES_MAX,
    MARK_INGRESS_MASK >>> MARK_INGRESS_SHIFT,
  ],
  ["libyang takes what NETCONF carries", NETCONF_MESSAGE_BYTES_MAX, INPUT_BYTES_MAX],
  ["a commit's wait is shorter than a lease", REVOCATION_DEADLINE_MS, LEASE_DEFAULT_MS],
];

test.each(ORDERED)("%s: %i is at most %i", (_claim, lower, upper) => {
  expect(lower).toBeGreaterThan(0);
  expect(lower).toBeLessThanOrEqual(upper);
});
