/**
 * create-subscription: events on a session, kept ones first.
 *
 * Effect: calls the session's `notify` until the subscription or the session ends.
 * Source: RFC 5277 §2.1, §3.3, §6 (interleave: other operations go on as before).
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { elementError, protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import { OK_BODY } from "../../lib/netconf/rpc-message.ts";
import { childOf, parseXml, textOf, type XmlElement } from "../../lib/xml/tree.ts";
import type { YangContext } from "../../lib/yang/yang-context.ts";
import { type EventBus, type ManagementEvent, STREAM_NETCONF } from "../core/event-bus.ts";
import type { Operations } from "../core/operations.ts";
import { filterSelects } from "../core/xml-filter.ts";
import { toModuleXpath } from "../core/xpath-names.ts";
import type { RpcCall, RpcHandler } from "../rpc-answerer.ts";
import type { SessionEntry } from "../session-registry.ts";
import { filterTypeOf } from "../subtree-filter.ts";
import { refuseUnknown } from "./parameters.ts";

const NS_NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0";
const NS_REPLAY = "urn:ietf:params:xml:ns:netmod:notification";
/** Node's timers go no further. */
const TIMER_MAX_MS = 2_147_483_647;

type Wants = (event: ManagementEvent) => boolean;

/** Returns the handlers by operation name, and what ends a session's subscription. */
export function makeSubscribeHandler(
  operations: Operations,
  bus: EventBus,
  moduleOf: (namespace: string) => string | undefined,
): RpcHandler {
  return async (call) => {
    const request = readRequest(call, operations.store.yang, moduleOf);
    if (!request.ok) return request;
    const { session } = call;
    if (session.notify === undefined) {
      return err(protocolError("operation-not-supported", "This transport carries no events"));
    }
    if (session.isSubscribed === true) {
      return err(protocolError("operation-failed", "This session has a subscription already"));
    }
    // The reply goes first (RFC 5277 §2.1.1).
    setImmediate(() => start(operations, bus, session, request.value));
    return ok(OK_BODY);
  };
}

interface Request {
  readonly startTime: Date | undefined;
  readonly stopTime: Date | undefined;
  readonly wants: Wants;
}

function readRequest(
  { operation, scope }: RpcCall,
  yang: YangContext,
  moduleOf: (namespace: string) => string | undefined,
): Result<Request, RpcError> {
  const unknown = refuseUnknown(operation, ["stream", "filter", "startTime", "stopTime"]);
  if (unknown !== undefined) return err(unknown);
  const stream = textOf(operation, "stream") ?? STREAM_NETCONF;
  if (stream !== STREAM_NETCONF) {
    const text = `There is no stream "${stream}"`;
    return err(protocolError("invalid-value", text, badElement("stream")));
  }
  const times = readTimes(operation);
  if (!times.ok) return times;
  const filter = childOf(operation, "filter");
  const wants = filter === undefined ? ok(() => true) : readWants(filter, scope, yang, moduleOf);
  return wants.ok ? ok({ ...times.value, wants: wants.value }) : wants;
}

function readTimes(operation: XmlElement): Result<Omit<Request, "wants">, RpcError> {
  const read = (name: string): Date | undefined => {
    const text = textOf(operation, name);
    return text === undefined ? undefined : new Date(text);
  };
  const startTime = read("startTime");
  const stopTime = read("stopTime");
  const bad = (name: string, text: string): Result<Omit<Request, "wants">, RpcError> =>
    err(elementError("bad-element", name, text));
  if (startTime !== undefined && Number.isNaN(startTime.getTime())) {
    return bad("startTime", '"startTime" is a date and time as in RFC 3339');
  }
  if (startTime !== undefined && startTime.getTime() > Date.now()) {
    return bad("startTime", '"startTime" lies in the future');
  }
  if (stopTime === undefined) return ok({ startTime, stopTime });
  if (Number.isNaN(stopTime.getTime())) {
    return bad("stopTime", '"stopTime" is a date and time as in RFC 3339');
  }
  if (startTime === undefined) {
    return err(elementError("missing-element", "startTime", '"stopTime" goes with "startTime"'));
  }
  if (stopTime < startTime) return bad("stopTime", '"stopTime" is before "startTime"');
  return ok({ startTime, stopTime });
}

function readWants(
  filter: XmlElement,
  scope: Readonly<Record<string, string>>,
  yang: YangContext,
  moduleOf: (namespace: string) => string | undefined,
): Result<Wants, RpcError> {
  if (filterTypeOf(filter) === "subtree") {
    return ok(({ xml }) => {
      const event = parseXml(xml);
      return event.ok && filterSelects(filter, event.value);
    });
  }
  const select = filter.attributes.find(({ local }) => local === "select")?.value ?? "";
  const xpath = toModuleXpath(select, { ...scope, ...filter.declared }, moduleOf);
  if (!xpath.ok) return xpath;
  return ok(({ xml }) => {
    const tree = yang.parseOperation(xml, "notification");
    if (!tree.ok) return false;
    const found = tree.value.find(xpath.value);
    tree.value.free();
    return found.ok && found.value.length > 0;
  });
}

function badElement(name: string): Pick<RpcError, "info"> {
  return { info: [{ name: "bad-element", text: name }] };
}

function start(
  operations: Operations,
  bus: EventBus,
  session: SessionEntry,
  { startTime, stopTime, wants }: Request,
): void {
  const tell = (event: ManagementEvent): void => {
    if (stopTime !== undefined && event.time > stopTime) return;
    if (!operations.accessOf(session).mayReceive(event.schema) || !wants(event)) return;
    session.notify?.(formatNotification(event.time, event.xml));
  };
  const kept = startTime === undefined ? [] : bus.since(startTime);
  const unsubscribe = bus.subscribe(tell);
  for (const event of kept) tell(event);
  if (startTime !== undefined) session.notify?.(formatNotification(new Date(), REPLAY_COMPLETE));
  const leftMs = stopTime === undefined ? undefined : Math.max(0, stopTime.getTime() - Date.now());
  const end = (): void => {
    unsubscribe();
    session.notify?.(formatNotification(new Date(), NOTIFICATION_COMPLETE));
    session.subscriptionEnds?.();
  };
  const timer = leftMs === undefined ? undefined : setTimeout(end, Math.min(leftMs, TIMER_MAX_MS));
  session.subscriptionStarts?.(() => {
    clearTimeout(timer);
    unsubscribe();
  });
}

const REPLAY_COMPLETE = `<replayComplete xmlns="${NS_REPLAY}"/>`;
const NOTIFICATION_COMPLETE = `<notificationComplete xmlns="${NS_REPLAY}"/>`;

/** Returns the message that carries an event. */
export function formatNotification(time: Date, xml: string): string {
  return (
    `<notification xmlns="${NS_NOTIFICATION}"><eventTime>${time.toISOString()}</eventTime>` +
    `${xml}</notification>`
  );
}
