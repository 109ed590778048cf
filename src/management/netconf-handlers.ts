/**
 * NETCONF's operations by name, over the core.
 *
 * Pure wiring: each handler reads XML, calls the core, and writes XML.
 */

import { err } from "../lib/base/result.ts";
import type { NamespaceOfModule } from "../lib/netconf/error-path.ts";
import { NS_MONITORING, NS_NETCONF } from "../lib/netconf/names.ts";
import { protocolError, type RpcError } from "../lib/netconf/rpc-error.ts";
import type { YangModule } from "../lib/yang/module-list.ts";
import type { AuditLog } from "./core/audit-log.ts";
import type { EventBus } from "./core/event-bus.ts";
import type { Operations } from "./core/operations.ts";
import { makeEditHandlers } from "./operations/edit.ts";
import { makeModuleRpc } from "./operations/module-rpc.ts";
import { makeNmdaHandlers, NS_NMDA } from "./operations/nmda.ts";
import { makeGetSchema, makeReadHandlers } from "./operations/read.ts";
import { makeSessionHandlers } from "./operations/session.ts";
import { makeSubscribeHandler } from "./operations/subscribe.ts";
import type { RpcCall, RpcHandler, RpcHandlers } from "./rpc-answerer.ts";
import type { SchemaOperation } from "./schema.ts";
import type { SessionRegistry } from "./session-registry.ts";

const NS_NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0";
/** Reading is not what an audit asks about. */
const NOT_AUDITED: ReadonlySet<string> = new Set(["get", "get-config", "get-data", "get-schema"]);

export interface HandlerContext {
  readonly operations: Operations;
  readonly registry: SessionRegistry;
  readonly modules: readonly YangModule[];
  readonly bus: EventBus;
  readonly audit: AuditLog;
}

export function makeHandlers(context: HandlerContext): RpcHandlers {
  const { audit, modules, operations } = context;
  const namespaces = new Map(modules.map(({ name, namespace }) => [name, namespace]));
  const namespaceOf: NamespaceOfModule = (module) => namespaces.get(module);
  const known = new Map(
    operations.store.schema.operations?.map((item) => [`${item.namespace} ${item.name}`, item]),
  );
  const refuse = ({ operation, session }: RpcCall): RpcError | undefined => {
    const schema = known.get(`${operation.namespace} ${operation.local}`);
    return schema === undefined ? undefined : operations.accessOf(session).refuseOperation(schema);
  };
  const onDone = ({ operation, session }: RpcCall, error: RpcError | undefined): void => {
    if (NOT_AUDITED.has(operation.local) && error?.tag !== "access-denied") return;
    audit.add({
      event: "operation",
      user: session.username,
      from: session.sourceHost,
      session: session.id,
      what: operation.local,
      outcome: error === undefined ? "ok" : `${error.tag}: ${error.message}`,
    });
  };
  return { byName: listHandlers(context, [...known.values()]), namespaceOf, refuse, onDone };
}

function listHandlers(
  context: HandlerContext,
  known: readonly SchemaOperation[],
): Map<string, RpcHandler> {
  const { bus, modules, operations, registry } = context;
  const names = new Map(modules.map(({ name, namespace }) => [namespace, name]));
  const moduleOf = (namespace: string): string | undefined => names.get(namespace);
  const reading = { operations, moduleOf };
  const byName = new Map<string, RpcHandler>();
  const add = (namespace: string, handlers: Readonly<Record<string, RpcHandler>>): void => {
    for (const [name, handler] of Object.entries(handlers)) {
      byName.set(`${namespace} ${name}`, handler);
    }
  };
  for (const { kind, module, name, namespace } of known) {
    if (kind === "rpc") add(namespace, { [name]: callModule(operations, module, name) });
  }
  add(NS_NETCONF, {
    ...makeReadHandlers(reading),
    ...makeEditHandlers(operations),
    ...makeSessionHandlers(operations, registry),
  });
  add(NS_MONITORING, { "get-schema": makeGetSchema(operations.store, modules) });
  add(NS_NMDA, makeNmdaHandlers(reading));
  add(NS_NOTIFICATION, { "create-subscription": makeSubscribeHandler(operations, bus, moduleOf) });
  return byName;
}

/** Looked up at each call: what serves the datastores registers operations after this server began. */
function callModule(operations: Operations, module: string, name: string): RpcHandler {
  return async (call) => {
    const handler = operations.handlerOf(`${module}:${name}`);
    if (handler !== undefined) {
      return await makeModuleRpc(operations, `${module}:${name}`, handler)(call);
    }
    const text = `This server has no operation "${name}" in "${call.operation.namespace}"`;
    return err(protocolError("operation-not-supported", text));
  };
}
