/** The same server, seen by yangcli: another implementation, with its own idea of YANG. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ManageFixture, runProgram, USER } from "./netconf-fixture.ts";

const fixture = new ManageFixture();

beforeAll(async () => {
  await fixture.data.start();
  await fixture.start();
  await fixture.applied();
});
afterAll(() => fixture.dispose());

function yangcli(protocol: string, ...more: string[]): Promise<string> {
  const keys = [`--private-key=${fixture.keyFile}`, `--public-key=${fixture.keyFile}.pub`];
  const where = ["--server=127.0.0.1", `--ncport=${fixture.port}`, `--user=${USER}`];
  const home = `--home=${join(fixture.folder, "yangcli")}`;
  const how = ["--batch-mode", "--log-level=info", "--autoload=true", `--protocols=${protocol}`];
  return runProgram("yangcli", [...how, ...where, ...keys, home, ...more]);
}

const SCRIPT = `lock target=candidate
merge /appliance/auto-save --value=false
validate source=candidate
get-config source=candidate
commit
unlock target=candidate
copy-config source=running target=startup
create /system/hostname --value=never-committed
discard-changes
sget-config /appliance source=running
sget /netconf-state/statistics
get-schema identifier=flowlift-system version=2026-11-21 format=yang
delete /appliance/auto-save
commit
delete-config target=startup
close-session
`;

test.each(["netconf1.0", "netconf1.1"])("yangcli does its work over %s", async (protocol) => {
  const file = join(fixture.folder, `${protocol}.yc`);
  writeFileSync(file, SCRIPT);
  const output = await yangcli(protocol, `--run-script=${file}`);
  expect(output).toContain(
    `Protocol version set to: RFC ${protocol === "netconf1.1" ? 6241 : 4741}`,
  );
  expect(output).not.toMatch(/RPC Error|canceled|Module 'flowlift-system'.*failed/);
  // lock, merge, validate, commit, unlock, copy, create, discard, delete, commit, delete-config; of close it sometimes tells.
  expect(output.match(/RPC OK Reply/g)?.length).toBeGreaterThanOrEqual(11);
  expect(output).toMatch(/data \{\s+appliance \{\s+auto-save false/);
  expect(output).toContain("module flowlift-system {");
  expect(output).toMatch(/in-sessions \d+/);
});

test("yangcli loads our schemas from the server itself", async () => {
  // Of the IETF's it knows those of YANG 1.0; those of RFC 8512 and 8519 are beyond its parser.
  const output = await yangcli("netconf1.1", "--run-command=get-config source=running");
  expect(output).toContain("flowlift-load-balancer@");
  expect(output).not.toMatch(/module '(flowlift-load-balancer|flowlift-system|ietf-ip)' failed/);
});

test("yangcli understands a refusal", async () => {
  const output = await yangcli("netconf1.1", "--run-command=kill-session session-id=77");
  expect(output).toContain("RPC Error Reply");
  expect(output).toMatch(/error-tag invalid-value[\s\S]*error-message .*There is no session "77"/);
});
