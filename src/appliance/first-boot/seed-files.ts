/**
 * The documents that boot copied from their source, and what they say together.
 *
 * Effect: reads files below one directory. Limit: DOCUMENT_BYTES_MAX of each.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DOCUMENT_BYTES_MAX, DocumentReader, readDocument } from "./document.ts";
import { readNetworkData } from "./network-data.ts";
import { checkPlan, type NetworkPlan } from "./network-plan.ts";
import { readNetworkV1 } from "./network-v1.ts";
import { readNetworkV2 } from "./network-v2.ts";
import type { ProblemList, SeedSource } from "./report.ts";
import { readMetaData, readUserData } from "./user-data.ts";

/** What a VM is told at boot. It is stored, for boots at which the source is gone. */
export interface Seed {
  readonly instanceId: string | undefined;
  readonly hostname: string | undefined;
  readonly users: readonly string[];
  readonly keys: readonly string[];
  readonly ntpServers: readonly string[];
  /** Undefined: none was given, or it cannot be used. */
  readonly network: NetworkPlan | undefined;
  /** For messages. */
  readonly networkDocument: string;
  readonly dayZero: { readonly document: string; readonly text: string } | undefined;
}

const SOURCES: readonly SeedSource[] = ["none", "nocloud", "config-drive", "fw-cfg"];

/** Returns where the documents come from. */
export function readSource(directory: string): SeedSource {
  const path = join(directory, "source");
  const text = existsSync(path) ? readFileSync(path, "utf8").trim() : "none";
  return SOURCES.find((source) => source === text) ?? "none";
}

/** Returns what the documents of the directory say; what they say wrongly is told. */
export function readSeed(directory: string, problems: ProblemList): Seed {
  const take = (name: string): string | undefined => takeText(directory, name, problems);
  const metaName = existsSync(join(directory, "meta_data.json")) ? "meta_data.json" : "meta-data";
  const meta = readMetaData(metaName, take(metaName) ?? "", problems);
  const user = readUserData("user-data", take("user-data") ?? "", problems);
  const dayZeroFile = take("day0");
  const dayZero = dayZeroFile ?? user.dayZero;
  if (dayZeroFile !== undefined && user.dayZero !== undefined) {
    problems.add(
      "user-data",
      undefined,
      "its day-0 configuration is left out: there is a document day0 too",
    );
  }
  const dayZeroName = dayZeroFile === undefined ? "user-data" : "day0";
  return {
    instanceId: meta.instanceId,
    hostname: user.hostname ?? meta.hostname,
    users: user.users,
    keys: [...new Set([...meta.keys, ...user.keys])],
    ntpServers: user.ntpServers,
    ...readNetwork(take, problems),
    dayZero: dayZero === undefined ? undefined : { document: dayZeroName, text: dayZero },
  };
}

/** Undefined when it is not there, empty, or too large; the last is told. */
function takeText(directory: string, name: string, problems: ProblemList): string | undefined {
  const path = join(directory, name);
  if (!existsSync(path)) return undefined;
  const { size } = statSync(path);
  if (size > DOCUMENT_BYTES_MAX) {
    return problems.add(
      name,
      undefined,
      `it has more than ${DOCUMENT_BYTES_MAX} bytes and is not read`,
    );
  }
  // A byte order mark, or the NUL at the end of a fw_cfg string, is no content.
  const text = readFileSync(path, "utf8")
    .replace(/^\uFEFF/, "")
    .replace(/\0+$/, "");
  return text.trim() === "" ? undefined : text;
}

function readNetwork(
  take: (name: string) => string | undefined,
  problems: ProblemList,
): Pick<Seed, "network" | "networkDocument"> {
  const openStack = take("network_data.json");
  const name = openStack === undefined ? "network-config" : "network_data.json";
  const text = openStack ?? take("network-config");
  const none = { network: undefined, networkDocument: name };
  if (text === undefined) return none;
  const before = problems.count;
  const root = readDocument(name, text, problems);
  if (root === undefined) return none;
  const reader = new DocumentReader(name, problems);
  const network =
    openStack === undefined ? readCloudInit(reader, root) : readNetworkData(reader, root);
  if (network === undefined) return none;
  checkPlan(reader, root, network);
  if (problems.count === before) return { network, networkDocument: name };
  problems.add(
    name,
    undefined,
    "because of this the whole document is left out: DHCP on the first interface",
  );
  return none;
}

type Reader = DocumentReader;

function readCloudInit(
  reader: Reader,
  root: Parameters<typeof readNetworkV2>[1],
): NetworkPlan | undefined {
  const network = root.members?.get("network") ?? root;
  const version = reader.integer(network.members?.get("version"), 1, 2);
  if (version === 2) return readNetworkV2(reader, network);
  if (version === 1) return readNetworkV1(reader, network);
  return reader.fail(network, "it needs `version: 1` or `version: 2`");
}
