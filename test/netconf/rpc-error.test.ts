import { describe, expect, test } from "vitest";
import { FlowliftError } from "../../src/lib/base/errors.ts";
import { formatErrorPath } from "../../src/lib/netconf/error-path.ts";
import {
  applicationError,
  formatRpcError,
  lockDenied,
  rpcErrorOf,
} from "../../src/lib/netconf/rpc-error.ts";
import { parseXml } from "../../src/lib/xml/tree.ts";

const NAMESPACES: Readonly<Record<string, string>> = { m: "urn:m", n: "urn:n" };
const namespaceOf = (module: string): string | undefined => NAMESPACES[module];

describe("formatErrorPath()", () => {
  test.each([
    ["/m:a/b", '<error-path xmlns:m="urn:m">/m:a/m:b</error-path>'],
    ["/m:a/n:b/c", '<error-path xmlns:m="urn:m" xmlns:n="urn:n">/m:a/n:b/n:c</error-path>'],
    ["/m:a/b[k='x/y]z']/c", "<error-path xmlns:m=\"urn:m\">/m:a/m:b[m:k='x/y]z']/m:c</error-path>"],
    ['/m:a[k="it\'s"]', '<error-path xmlns:m="urn:m">/m:a[m:k=&quot;it\'s&quot;]</error-path>'],
    ["/m:a/b[.='1']", "<error-path xmlns:m=\"urn:m\">/m:a/m:b[.='1']</error-path>"],
    ["/m:a[k='<&>']", "<error-path xmlns:m=\"urn:m\">/m:a[m:k='&lt;&amp;&gt;']</error-path>"],
    ["/gone:a/b", "<error-path>/gone:a/gone:b</error-path>"],
  ])("qualifies %s", (path, expected) => {
    expect(formatErrorPath(path, namespaceOf)).toBe(expected);
  });
});

describe("formatRpcError()", () => {
  test("writes the fields in RFC 6241's order and escapes what a client sent", () => {
    const error = applicationError("invalid-value", 'no "<x>" & y', { appTag: "t", path: "/m:a" });
    const text = formatRpcError(error, namespaceOf);
    const parsed = parseXml(text);
    expect(parsed.ok && parsed.value.children.map((child) => child.local)).toEqual([
      "error-type",
      "error-tag",
      "error-severity",
      "error-app-tag",
      "error-path",
      "error-message",
    ]);
    expect(parsed.ok && parsed.value.children.at(-1)?.text).toBe('no "<x>" & y');
  });

  test("names the session that holds a lock", () => {
    expect(formatRpcError(lockDenied(42, "held"), namespaceOf)).toContain(
      "<error-info><session-id>42</session-id></error-info>",
    );
  });
});

describe("rpcErrorOf()", () => {
  test.each([
    [new FlowliftError("LOCAL_RPC_CLOSED", "away"), "operation-failed", "data-process-unavailable"],
    [
      new FlowliftError("LOCAL_RPC_TIMEOUT", "slow"),
      "operation-failed",
      "data-process-unavailable",
    ],
    [new FlowliftError("STATE_FILE_UNWRITABLE", "full"), "operation-failed", "storage-failed"],
    [new FlowliftError("YANG_INVALID", "bad"), "invalid-value", undefined],
    [new FlowliftError("NFT_APPLY_REJECTED", "no"), "operation-failed", undefined],
  ])("maps %s", (error, tag, appTag) => {
    expect(rpcErrorOf(error)).toMatchObject({ tag, message: error.message });
    expect(rpcErrorOf(error).appTag).toBe(appTag);
  });

  test("keeps the text of a bug to itself", () => {
    expect(rpcErrorOf(new TypeError("x is undefined")).message).not.toContain("undefined");
  });
});
