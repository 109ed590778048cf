/**
 * What libyang found wrong, as an error of NETCONF.
 *
 * Pure. libyang gives a text and sometimes an error-app-tag; the tag follows from them.
 * Source: RFC 7950 §8.3.1 and §15; RFC 6241 Appendix A. Texts: libyang 2.1.30.
 */
import type { YangProblem } from "../yang/yang-problem.ts";
import type { ErrorInfo, ErrorTag, RpcError } from "./rpc-error.ts";

interface TagRule {
  readonly pattern: RegExp;
  readonly tag: ErrorTag;
  readonly appTag?: string;
  /** What the pattern's first group is, for error-info. */
  readonly info?: "bad-element" | "bad-attribute" | "bad-namespace" | "missing-choice";
}

const NS_YANG = "urn:ietf:params:xml:ns:yang:1";

/** The first rule that matches decides. */
const TAG_RULES: readonly TagRule[] = [
  {
    pattern: /^(?:Text value|Child element) "[^"]*" inside an? \w+ node "([^"]*)"/,
    tag: "bad-element",
    info: "bad-element",
  },
  { pattern: /^Duplicate instance of "([^"]*)"/, tag: "bad-element", info: "bad-element" },
  { pattern: /^Missing XML namespace/, tag: "unknown-namespace" },
  { pattern: /YANG module with namespace "([^"]*)" for metadata/, tag: "unknown-attribute" },
  {
    pattern: /^No module with namespace "([^"]*)"/,
    tag: "unknown-namespace",
    info: "bad-namespace",
  },
  { pattern: /^No module named "([^"]*)"/, tag: "unknown-namespace", info: "bad-namespace" },
  {
    pattern: /^(?:Schema )?[Nn]ode "([^"]*)" .*not found/,
    tag: "unknown-element",
    info: "bad-element",
  },
  { pattern: /^Unknown element "([^"]*)"/, tag: "unknown-element", info: "bad-element" },
  { pattern: /^Unexpected data state node "([^"]*)"/, tag: "unknown-element", info: "bad-element" },
  {
    pattern: /^(?:Unknown|Annotation definition for) .*attribute "([^"]*)"/,
    tag: "unknown-attribute",
    info: "bad-attribute",
  },
  {
    pattern: /^Annotation definition .*"([^"]*)"/,
    tag: "unknown-attribute",
    info: "bad-attribute",
  },
  {
    pattern: /^Missing mandatory prefix for XML (?:metadata|attribute) "([^"]*)"/,
    tag: "unknown-attribute",
    info: "bad-attribute",
  },
  {
    pattern: /^List instance is missing its key "([^"]*)"/,
    tag: "missing-element",
    info: "bad-element",
  },
  { pattern: /^When condition/, tag: "unknown-element" },
  { pattern: /^Data for both cases/, tag: "bad-element" },
  {
    pattern: /^Mandatory choice "([^"]*)"/,
    tag: "data-missing",
    appTag: "missing-choice",
    info: "missing-choice",
  },
  { pattern: /^Mandatory node "([^"]*)"/, tag: "data-missing" },
  { pattern: /^Invalid leafref value/, tag: "data-missing", appTag: "instance-required" },
  { pattern: /required instance/i, tag: "data-missing", appTag: "instance-required" },
  { pattern: /^Must condition/, tag: "operation-failed", appTag: "must-violation" },
  { pattern: /^Unique data/, tag: "operation-failed", appTag: "data-not-unique" },
  { pattern: /^Too few/, tag: "operation-failed", appTag: "too-few-elements" },
  { pattern: /^Too many/, tag: "operation-failed", appTag: "too-many-elements" },
];

/** Tags that libyang's app-tag alone decides: a module may give its own message. */
const TAG_OF_APP_TAG: Readonly<Record<string, ErrorTag>> = {
  "must-violation": "operation-failed",
  "data-not-unique": "operation-failed",
  "too-few-elements": "operation-failed",
  "too-many-elements": "operation-failed",
  "instance-required": "data-missing",
};

/** Returns the error for a client. */
export function rpcErrorOfYang(problem: YangProblem): RpcError {
  if (problem.malformed === true) {
    return { type: "rpc", tag: "malformed-message", message: problem.message };
  }
  let rule: TagRule | undefined;
  let match: RegExpExecArray | null = null;
  for (const candidate of TAG_RULES) {
    match = candidate.pattern.exec(problem.message);
    if (match === null) continue;
    rule = candidate;
    break;
  }
  const byAppTag = problem.appTag === undefined ? undefined : TAG_OF_APP_TAG[problem.appTag];
  // A must with its own error-message says so only by where it was found.
  const tag = rule?.tag ?? byAppTag ?? (isTypeText(problem) ? "invalid-value" : "operation-failed");
  const appTag = problem.appTag ?? rule?.appTag;
  // A node that is missing has no instance: its place in the schema must do.
  const place = problem.path ?? problem.schemaPath;
  const name = match?.[1]?.replace(/^.*:/, rule?.info === "bad-namespace" ? "$&" : "");
  return {
    type: "application",
    tag,
    message: problem.message,
    ...(appTag === undefined ? {} : { appTag }),
    ...(place === undefined ? {} : { path: place }),
    ...(rule?.info === undefined || name === undefined
      ? {}
      : { info: infoOf(rule.info, name, lastElementOf(problem.path)) }),
  };
}

function infoOf(kind: NonNullable<TagRule["info"]>, name: string, element: string): ErrorInfo[] {
  if (kind === "missing-choice") return [{ name: kind, text: name, namespace: NS_YANG }];
  if (kind === "bad-element") return [{ name: kind, text: name }];
  const owner: ErrorInfo = { name: "bad-element", text: element };
  return kind === "bad-attribute"
    ? [{ name: kind, text: name }, owner]
    : [owner, { name: kind, text: name }];
}

/** The name of the last step of an instance path. */
function lastElementOf(path: string | undefined): string {
  const names = path?.replace(/\[(?:[^"'\]]|"[^"]*"|'[^']*')*\]/g, "").split("/") ?? [];
  return names.at(-1)?.replace(/^.*:/, "") ?? "";
}

function isTypeText(problem: YangProblem): boolean {
  return /value|pattern|range|length|enumeration|identity|character|digits|bit|type/i.test(
    problem.message,
  );
}
