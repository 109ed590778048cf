/**
 * The server's own operational state as XML: ietf-netconf-monitoring and ietf-yang-library.
 *
 * Pure: (facts) => text. Source: RFC 6022 §2.1, RFC 8525 §4.
 */
import { createHash } from "node:crypto";
import { NS_MONITORING } from "../lib/netconf/names.ts";
import { escapeXml } from "../lib/xml/tree.ts";
import type { YangModule } from "../lib/yang/module-list.ts";
import { DATASTORE_NAMES, type Locks } from "./locks.ts";
import type { RpcCounters, SessionEntry, SessionRegistry } from "./session-registry.ts";

const NS_YANG_LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library";
const NS_DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores";

/** Returns `netconf-state`. */
export function formatNetconfState(
  capabilities: readonly string[],
  modules: readonly YangModule[],
  locks: Locks,
  registry: SessionRegistry,
): string {
  const items = capabilities.map((uri) => leaf("capability", uri)).join("");
  return (
    `<netconf-state xmlns="${NS_MONITORING}"><capabilities>${items}</capabilities>` +
    `<datastores>${DATASTORE_NAMES.map((name) => formatDatastore(name, locks)).join("")}</datastores>` +
    `<schemas>${modules.map(formatSchema).join("")}</schemas>` +
    `<sessions>${registry.list().map(formatSession).join("")}</sessions>` +
    `<statistics>${leaf("netconf-start-time", formatTime(registry.startTime))}` +
    leaf("in-bad-hellos", registry.inBadHellos) +
    leaf("in-sessions", registry.inSessions) +
    leaf("dropped-sessions", registry.droppedSessions) +
    `${formatCounters(registry.totals)}</statistics></netconf-state>`
  );
}

function formatDatastore(name: (typeof DATASTORE_NAMES)[number], locks: Locks): string {
  const lock = locks.holderOf(name);
  const held =
    lock === undefined
      ? ""
      : `<locks><global-lock>${leaf("locked-by-session", lock.sessionId)}` +
        `${leaf("locked-time", formatTime(lock.since))}</global-lock></locks>`;
  return `<datastore>${leaf("name", name)}${held}</datastore>`;
}

function formatSchema(module: YangModule): string {
  return (
    `<schema>${leaf("identifier", module.name)}${leaf("version", module.revision ?? "")}` +
    `<format xmlns:ncm="${NS_MONITORING}">ncm:yang</format>` +
    `${leaf("namespace", module.namespace)}${leaf("location", "NETCONF")}</schema>`
  );
}

function formatSession(session: SessionEntry): string {
  return (
    `<session>${leaf("session-id", session.id)}` +
    `<transport xmlns:ncm="${NS_MONITORING}">ncm:${session.transport}</transport>` +
    `${leaf("username", session.username)}${leaf("source-host", session.sourceHost)}` +
    leaf("login-time", formatTime(session.loginTime)) +
    `${formatCounters(session.counters)}</session>`
  );
}

function formatCounters(counters: RpcCounters): string {
  return (
    leaf("in-rpcs", counters.inRpcs) +
    leaf("in-bad-rpcs", counters.inBadRpcs) +
    leaf("out-rpc-errors", counters.outRpcErrors) +
    leaf("out-notifications", counters.outNotifications)
  );
}

/** Returns `yang-library` of 2019. */
export function formatYangLibrary(modules: readonly YangModule[]): string {
  const list = modules
    .filter(({ conformance }) => conformance === "implement")
    .map((module) => {
      const features = module.features.map((name) => leaf("feature", name)).join("");
      return `<module>${formatIdentity(module)}${features}</module>`;
    });
  const imports = modules
    .filter(({ conformance }) => conformance === "import")
    .map((module) => `<import-only-module>${formatIdentity(module)}</import-only-module>`);
  const datastores = [...DATASTORE_NAMES, "operational"].map(
    (name) =>
      `<datastore><name xmlns:ds="${NS_DATASTORES}">ds:${name}</name>` +
      "<schema>complete</schema></datastore>",
  );
  return (
    `<yang-library xmlns="${NS_YANG_LIBRARY}"><module-set><name>complete</name>` +
    `${list.join("")}${imports.join("")}</module-set>` +
    "<schema><name>complete</name><module-set>complete</module-set></schema>" +
    `${datastores.join("")}${leaf("content-id", contentIdOf(modules))}</yang-library>`
  );
}

/** Returns `modules-state`, which clients older than 2019 look for (RFC 7895). */
export function formatModulesState(modules: readonly YangModule[]): string {
  const list = modules.map(
    (module) =>
      `<module>${leaf("name", module.name)}${leaf("revision", module.revision ?? "")}` +
      `${leaf("namespace", module.namespace)}` +
      `${module.features.map((name) => leaf("feature", name)).join("")}` +
      `${leaf("conformance-type", module.conformance)}</module>`,
  );
  return (
    `<modules-state xmlns="${NS_YANG_LIBRARY}">` +
    `${leaf("module-set-id", contentIdOf(modules))}${list.join("")}</modules-state>`
  );
}

function formatIdentity(module: YangModule): string {
  const revision = module.revision === undefined ? "" : leaf("revision", module.revision);
  return `${leaf("name", module.name)}${revision}${leaf("namespace", module.namespace)}`;
}

/** Changes whenever a module, a revision or a feature does (RFC 8525 §4). */
export function contentIdOf(modules: readonly YangModule[]): string {
  const text = modules
    .map((module) => `${module.name}@${module.revision} ${module.conformance} ${module.features}`)
    .sort()
    .join("\n");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function leaf(name: string, value: string | number): string {
  return `<${name}>${escapeXml(String(value))}</${name}>`;
}

function formatTime(time: Date): string {
  return time.toISOString();
}
