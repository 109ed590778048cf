/**
 * Event streams as server-sent events.
 *
 * Effect: writes to one response until its reader goes, the stop time passes or it reads too slowly.
 * Source: RFC 8040 §6; WHATWG HTML "Server-sent events".
 * Limit: STREAM_QUEUE_BYTES_MAX wait for a slow reader.
 */
import type { ServerResponse } from "node:http";
import { err, ok, type Result } from "../../lib/base/result.ts";
import { protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { Access } from "../core/access.ts";
import { type EventBus, type ManagementEvent, STREAM_NETCONF } from "../core/event-bus.ts";

export const STREAM_QUEUE_BYTES_MAX: number = 4 * 1024 * 1024;
/** So that proxies and readers see that the stream lives. */
const KEEPALIVE_MS = 15_000;
/** Node's timers go no further. */
const TIMER_MAX_MS = 2_147_483_647;
const NS_NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0";

export interface StreamQuery {
  readonly startTime: Date | undefined;
  readonly stopTime: Date | undefined;
  /** Of the last event that the reader has seen. */
  readonly lastEventId: number | undefined;
}

/** Reads `start-time`, `stop-time` and the header Last-Event-ID (RFC 8040 §4.8.7, §4.8.8). */
export function parseStreamQuery(
  text: string,
  lastEventId: string | undefined,
): Result<StreamQuery, RpcError> {
  const times = new Map<string, Date>();
  for (const [name, value] of new URLSearchParams(text.replaceAll("+", "%2B"))) {
    const time = new Date(value);
    const isKnown = name === "start-time" || name === "stop-time";
    if (!isKnown || times.has(name)) {
      return err(protocolError("invalid-value", `Query parameter "${name}" is not understood`));
    }
    if (Number.isNaN(time.getTime())) {
      return err(protocolError("invalid-value", `${name} is no date and time: "${value}"`));
    }
    times.set(name, time);
  }
  const startTime = times.get("start-time");
  const stopTime = times.get("stop-time");
  if (stopTime !== undefined && (startTime === undefined || stopTime <= startTime)) {
    return err(protocolError("invalid-value", "stop-time needs an earlier start-time"));
  }
  const id =
    lastEventId !== undefined && /^\d+$/.test(lastEventId) ? Number(lastEventId) : undefined;
  return ok({ startTime, stopTime, lastEventId: id });
}

export function isStream(name: string): boolean {
  return name === STREAM_NETCONF;
}

/** Sends kept events first, then those that come. */
export function serveStream(
  bus: EventBus,
  access: Access,
  query: StreamQuery,
  response: ServerResponse,
): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.write(": open\n\n"); // The head goes with the first line.
  const { startTime, stopTime, lastEventId } = query;
  const end = (): void => {
    stop();
    clearInterval(keepalive);
    clearTimeout(deadline);
    response.end();
  };
  const send = (event: ManagementEvent): void => {
    if (stopTime !== undefined && event.time > stopTime) return;
    if (!access.mayReceive(event.schema)) return;
    response.write(formatEvent(event));
    if (response.writableLength > STREAM_QUEUE_BYTES_MAX) response.destroy();
  };
  const kept =
    lastEventId !== undefined
      ? bus.after(lastEventId)
      : startTime === undefined
        ? []
        : bus.since(startTime);
  for (const event of kept) send(event);
  const stop = bus.subscribe(send);
  const keepalive = setInterval(() => response.write(": alive\n\n"), KEEPALIVE_MS);
  const left = stopTime === undefined ? undefined : stopTime.getTime() - Date.now();
  const deadline =
    left === undefined ? undefined : setTimeout(end, Math.min(Math.max(0, left), TIMER_MAX_MS));
  response.once("close", end);
}

function formatEvent({ sequence, time, xml }: ManagementEvent): string {
  const text =
    `<notification xmlns="${NS_NOTIFICATION}"><eventTime>${time.toISOString()}</eventTime>` +
    `${xml}</notification>`;
  const lines = text.split("\n").map((line) => `data: ${line}`);
  return `id: ${sequence}\n${lines.join("\n")}\n\n`;
}
