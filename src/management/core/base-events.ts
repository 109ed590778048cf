/**
 * The events that every server tells of itself (RFC 6470 §2.2).
 *
 * Effect: publishes. Limit: EDITS_TOLD_MAX changes are named; of a larger commit the roots are.
 */
import { isIP } from "node:net";
import { formatErrorPath, type NamespaceOfModule } from "../../lib/netconf/error-path.ts";
import { escapeXml } from "../../lib/xml/tree.ts";
import type { ConfigStore } from "../config-store.ts";
import type { SessionEntry } from "../session-registry.ts";
import type { Change, NodePlace } from "./diff.ts";
import { formatNodePath } from "./diff.ts";
import type { EventBus } from "./event-bus.ts";
import type { Actor } from "./journal-record.ts";

export const EDITS_TOLD_MAX = 1_000;
const MODULE = "ietf-netconf-notifications";
const NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications";

export type SessionEnd = "closed" | "killed" | "dropped" | "timeout" | "bad-hello" | "other";

export class BaseEvents {
  readonly #bus: EventBus;
  readonly #namespaceOf: NamespaceOfModule;

  constructor(bus: EventBus, store: ConfigStore, namespaceOf: NamespaceOfModule) {
    this.#bus = bus;
    this.#namespaceOf = namespaceOf;
    store.listen({
      committed: ({ changes, meta }) => this.#configChange("running", meta, changes),
      startupChanged: (who) => this.#configChange("startup", who, []),
      confirm: (event, who, timeoutSec) => {
        const timeout = timeoutSec === undefined ? "" : leaf("timeout", String(timeoutSec));
        // `timeout` has no session: nobody asked for it.
        const by = event === "timeout" ? "" : sessionParameters(who);
        this.#publish(
          "netconf-confirmed-commit",
          `${by}${leaf("confirm-event", event)}${event === "start" || event === "extend" ? timeout : ""}`,
        );
      },
    });
  }

  sessionStart(session: SessionEntry): void {
    this.#publish("netconf-session-start", sessionParameters(toActor(session)));
  }

  sessionEnd(session: SessionEntry, reason: SessionEnd, killedBy?: number): void {
    const killer = killedBy === undefined ? "" : leaf("killed-by", String(killedBy));
    this.#publish(
      "netconf-session-end",
      `${sessionParameters(toActor(session))}${killer}${leaf("termination-reason", reason)}`,
    );
  }

  #configChange(datastore: string, who: Actor, changes: readonly Change[]): void {
    const told = changes.length > EDITS_TOLD_MAX ? rootsOf(changes) : changes;
    const edits = told.map(({ kind, place }) => {
      const path = formatErrorPath(formatNodePath(place), this.#namespaceOf);
      const target = path
        .replace(/^<error-path/, "<target")
        .replace(/<\/error-path>$/, "</target>");
      return `<edit>${target}${leaf("operation", OPERATIONS[kind])}</edit>`;
    });
    const by = who.sessionId === 0 ? "<server/>" : sessionParameters(who);
    this.#publish(
      "netconf-config-change",
      `<changed-by>${by}</changed-by>${leaf("datastore", datastore)}${edits.join("")}`,
    );
  }

  #publish(name: string, inner: string): void {
    const schema = {
      kind: "notification",
      name,
      module: MODULE,
      namespace: NAMESPACE,
      defaultDeny: "none",
    } as const;
    this.#bus.publish(schema, `<${name} xmlns="${NAMESPACE}">${inner}</${name}>`);
  }
}

const OPERATIONS: Readonly<Record<Change["kind"], string>> = {
  create: "create",
  delete: "delete",
  modify: "replace",
  move: "merge",
};

/** One change for each top-level node. */
function rootsOf(changes: readonly Change[]): Change[] {
  const roots = new Map<string, Change>();
  for (const change of changes) {
    let place: NodePlace = change.place;
    while (place.above !== undefined) place = place.above;
    const name = `${place.schema.module}:${place.schema.name}`;
    if (!roots.has(name)) roots.set(name, { kind: "move", place });
  }
  return [...roots.values()];
}

function toActor({ id, sourceHost, transport, username }: SessionEntry): Actor {
  return { user: username, sessionId: id, sourceHost, protocol: transport };
}

function sessionParameters({ sessionId, sourceHost, user }: Actor): string {
  const host = isIP(sourceHost) === 0 ? "" : leaf("source-host", sourceHost);
  return `${leaf("username", user)}${leaf("session-id", String(sessionId))}${host}`;
}

function leaf(name: string, value: string): string {
  return `<${name}>${escapeXml(value)}</${name}>`;
}
