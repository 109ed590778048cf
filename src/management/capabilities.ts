/** What the server's hello announces. Pure. Source: RFC 6241 §8, RFC 6020 §5.6.4, RFC 8526 §2. */
import { BASE_1_0, BASE_1_1 } from "../lib/netconf/names.ts";
import type { YangModule } from "../lib/yang/module-list.ts";
import { contentIdOf } from "./monitoring-state.ts";

/** A client that announces it too edits a candidate of its own. */
export const PRIVATE_CANDIDATE = "urn:ietf:params:netconf:capability:private-candidate:1.0";

const PROTOCOL_CAPABILITIES: readonly string[] = [
  BASE_1_0,
  BASE_1_1,
  "urn:ietf:params:netconf:capability:writable-running:1.0",
  "urn:ietf:params:netconf:capability:candidate:1.0",
  "urn:ietf:params:netconf:capability:confirmed-commit:1.1",
  "urn:ietf:params:netconf:capability:rollback-on-error:1.0",
  "urn:ietf:params:netconf:capability:startup:1.0",
  "urn:ietf:params:netconf:capability:validate:1.0",
  "urn:ietf:params:netconf:capability:validate:1.1",
  "urn:ietf:params:netconf:capability:xpath:1.0",
  "urn:ietf:params:netconf:capability:notification:1.0",
  "urn:ietf:params:netconf:capability:interleave:1.0",
  "urn:ietf:params:netconf:capability:with-defaults:1.0?basic-mode=explicit" +
    "&also-supported=report-all,report-all-tagged,trim",
  PRIVATE_CANDIDATE,
];

/**
 * Returns the capabilities. Implemented modules are listed too, also those of YANG 1.1: clients that
 * predate yang-library find them nowhere else.
 */
export function listCapabilities(modules: readonly YangModule[]): string[] {
  const revision = modules.find(({ name }) => name === "ietf-yang-library")?.revision ?? "";
  const library =
    `urn:ietf:params:netconf:capability:yang-library:1.1?revision=${revision}` +
    `&content-id=${contentIdOf(modules)}`;
  const implemented = modules.filter(({ conformance }) => conformance === "implement");
  return [...PROTOCOL_CAPABILITIES, library, ...implemented.map(formatModuleCapability)];
}

function formatModuleCapability(module: YangModule): string {
  const parts = [`module=${module.name}`];
  if (module.revision !== undefined) parts.push(`revision=${module.revision}`);
  if (module.features.length > 0) parts.push(`features=${module.features.join(",")}`);
  return `${module.namespace}?${parts.join("&")}`;
}
