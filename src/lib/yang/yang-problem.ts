/** What libyang found wrong with data, as a value. Effect: empties a context's error list. */
import { type LibYang, NULL_POINTER, type Pointer } from "./libyang.ts";
import { type NativeError, readError } from "./native-memory.ts";

/** Why data was refused; maps to rpc-error (RFC 6241 §4.3). */
export interface YangProblem {
  readonly kind: "yang-invalid";
  /** What is wrong, without a full stop. Names the node when `path` does not. */
  readonly message: string;
  /** Instance path of the offending node, as in rpc-error's error-path with module names. */
  readonly path?: string;
  readonly schemaPath?: string;
  /** error-app-tag of a must, unique, min-elements … (RFC 7950 §15). */
  readonly appTag?: string;
  /** Line of the text that was parsed, from 1. */
  readonly line?: number;
  /** True when the text is not well-formed, so that it is `malformed-message`, not bad data. */
  readonly malformed?: boolean;
}

/** Errors kept for one problem. Every one of libyang's lists ends, but trust needs no loop bound. */
export const ERROR_ITEMS_MAX = 64;

const MALFORMED_VECODES: ReadonlySet<number> = new Set([1, 7, 8]); // LYVE_SYNTAX, _XML, _JSON

/** Returns a problem that libyang did not report. */
export function problemOf(message: string, path?: string): YangProblem {
  return { kind: "yang-invalid", message, ...(path === undefined ? {} : { path }) };
}

/** Takes the context's stored errors, oldest first. */
export function takeErrors(library: LibYang, context: Pointer): NativeError[] {
  const errors: NativeError[] = [];
  let item = library.functions.ly_err_first(context);
  while (item !== null && item !== NULL_POINTER && errors.length < ERROR_ITEMS_MAX) {
    const error = readError(item);
    errors.push(error);
    item = error.next;
  }
  library.functions.ly_err_clean(context, null);
  return errors;
}

/** Takes the context's stored errors and returns them as one problem. */
export function takeProblem(library: LibYang, context: Pointer, doing: string): YangProblem {
  const errors = takeErrors(library, context);
  const first = errors[0];
  if (first === undefined) return problemOf(`libyang could not ${doing} and gave no reason`);
  return formatProblem(first);
}

function formatProblem(error: NativeError): YangProblem {
  const place = error.path ?? "";
  const path = /Data location "((?:[^"]|"(?!,|\.$))*)"/.exec(place)?.[1];
  const schemaPath = /Schema location "([^"]*)"/.exec(place)?.[1];
  const line = /[Ll]ine number (\d+)/.exec(place)?.[1];
  const message = (error.msg ?? "Invalid data").replace(/\.$/, "");
  return {
    kind: "yang-invalid",
    message,
    ...(path === undefined ? {} : { path }),
    ...(schemaPath === undefined ? {} : { schemaPath }),
    ...(error.apptag === null ? {} : { appTag: error.apptag }),
    ...(line === undefined ? {} : { line: Number(line) }),
    ...(MALFORMED_VECODES.has(error.vecode) ? { malformed: true } : {}),
  };
}

/** Returns one line that names the leaf and the reason. */
export function describeProblem(problem: YangProblem): string {
  const place = problem.path ?? problem.schemaPath;
  const line = problem.line === undefined ? "" : ` (line ${problem.line})`;
  return place === undefined ? `${problem.message}${line}` : `${place}: ${problem.message}${line}`;
}
