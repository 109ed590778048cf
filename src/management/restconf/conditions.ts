/**
 * Conditional requests: one entity-tag for the configuration as a whole.
 *
 * Pure. Source: RFC 8040 §3.4.1, §3.5.1, §3.5.2; RFC 9110 §13.
 */
import { conditionFailed, type RestError } from "./errors.ts";

export interface Conditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
}

export interface Version {
  readonly id: number;
  readonly at: Date;
}

/** Commits are numbered, and no number comes again. */
export function formatEntityTag({ id }: Version): string {
  return `"${id}"`;
}

/** Nothing to send: the reader has it (RFC 9110 §15.4.5). */
export function notModified(): RestError {
  const error = { type: "protocol", tag: "operation-failed", message: "Not modified" } as const;
  return { error, status: 304 };
}

/** Returns why the request ends here; undefined: it goes on. */
export function checkConditions(
  conditions: Conditions,
  version: Version,
  isRead: boolean,
): RestError | undefined {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions;
  const tag = formatEntityTag(version);
  if (ifMatch !== undefined && !lists(ifMatch, tag)) {
    return conditionFailed(`The configuration's entity-tag is ${tag}, not ${ifMatch}`);
  }
  if (ifMatch === undefined && isAfter(version.at, ifUnmodifiedSince)) {
    return conditionFailed(`The configuration was changed at ${version.at.toUTCString()}`);
  }
  if (ifNoneMatch !== undefined) {
    if (!lists(ifNoneMatch, tag)) return undefined;
    return isRead ? notModified() : conditionFailed(`The configuration's entity-tag is ${tag}`);
  }
  const since = parseTime(ifModifiedSince);
  if (isRead && since !== undefined && !isAfter(version.at, ifModifiedSince)) return notModified();
  return undefined;
}

function lists(header: string, tag: string): boolean {
  const tags = header.split(",").map((item) => item.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(tag);
}

function parseTime(text: string | undefined): number | undefined {
  const time = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** HTTP's dates have whole seconds. */
function isAfter(at: Date, header: string | undefined): boolean {
  const time = parseTime(header);
  return time !== undefined && Math.floor(at.getTime() / 1000) * 1000 > time;
}
