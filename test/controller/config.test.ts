import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createConfigContext, readConfigFile } from "../../src/controller/config-file.ts";
import { IdRegistry } from "../../src/controller/id-registry.ts";
import { MockFaults, TABLE_FLOWS_MAX } from "../../src/controller/mock-faults.ts";
import { mockConfigFile } from "../../src/controller/run-mock.ts";
import { parseControllerSettings } from "../../src/controller/settings.ts";
import { exampleConfig } from "./world.ts";

const directory = mkdtempSync(join(tmpdir(), "flowlift-g-config-"));
const context = createConfigContext();

afterAll(() => {
  context.destroy();
  rmSync(directory, { recursive: true });
});

function judge(text: string): string {
  const path = join(directory, "config.json");
  writeFileSync(path, text);
  try {
    const model = readConfigFile(context, path, new IdRegistry());
    return `${model.vms.size} VMs`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe("the configuration", () => {
  const good = JSON.stringify(exampleConfig());

  test("of the examples is valid (the control of every row below)", () => {
    expect(judge(good)).toBe("2 VMs");
    expect(readConfigFile(context, mockConfigFile(), new IdRegistry()).vms.size).toBe(1);
  });

  const rows: readonly [string, string, string, string][] = [
    [
      "a vNIC on an unknown segment",
      '"segment":"inside","port":"red-vm-in"',
      '"segment":"nowhere","port":"red-vm-in"',
      'Invalid leafref value "nowhere"',
    ],
    ["a port used twice", '"port":"red-vm-out"', '"port":"red-vm-in"', "same port"],
    [
      "a MAC twice in one segment",
      '{"name":"gateway","host":"host-1","vnic":[{"mac":"02:00:00:0b:00:01"',
      '{"name":"twin","host":"host-1","vnic":[{"mac":"02:00:00:0b:00:01","segment":"inside","port":"blue-client"}]},{"name":"gateway","host":"host-1","vnic":[{"mac":"02:00:00:0b:00:01"',
      "same MAC address",
    ],
    [
      "a virtual machine on an unknown host",
      '"host":"host-1"',
      '"host":"host-9"',
      "Invalid leafref value",
    ],
    [
      "a port of another tenant",
      '"port":"blue-vm-in"',
      '"port":"red-client"',
      "another tenant or segment",
    ],
    ["a port range upside down", '"lower-port":80', '"lower-port":81', "below 'lower-port'"],
    ["a group address as vNIC", "02:00:00:0a:00:01", "03:00:00:0a:00:01", "pattern"],
    ["a prefix that is none", "10.0.0.0/24", "10.0.0.0/33", "10.0.0.0/33"],
    ["an unknown member", '"lease":30000', '"leese":30000', "leese"],
    ["a lease below the least", '"lease":30000', '"lease":999', "999"],
  ];
  test.each(rows)("is refused with %s", (_, from, to, message) => {
    const text = good.replace(from, to);
    expect(text).not.toBe(good);
    expect(judge(text)).toContain(message);
  });

  test("is refused when it is torn, with the file's name", () => {
    expect(judge(good.slice(0, -1))).toContain("config.json");
  });
});

describe("parseControllerSettings()", () => {
  const good = {
    stateDirectory: "/s",
    runDirectory: "/r",
    configFile: "/c",
    grpc: { address: "127.0.0.1:0" },
    pkiDirectory: "/p",
    tokenFile: "/t",
  };
  const judgeSettings = (change: object): string => {
    const settings = parseControllerSettings(JSON.stringify({ ...good, ...change }));
    return settings.ok ? "good" : settings.error.message;
  };

  test.each<[object, string]>([
    [{}, "good"],
    [{ admin: { listenFd: 3 } }, "good"],
    [{ admin: { listenFd: 2 } }, '"listenFd" must be a whole number from 3'],
    [{ admin: { address: "[::1]:80" } }, "good"],
    [{ admin: { address: "0.0.0.0:80" } }, '"admin.address" must be a port of the loopback'],
    [{ driver: "dpu" }, '"driver" must be "memory" or "agent"'],
    [{ tokenfile: "/t" }, 'there is no setting "tokenfile"'],
    [{ stateDirectory: "" }, '"stateDirectory" must be a text'],
    [{ statisticsIntervalMs: 9 }, "from 10"],
    [{ statisticsIntervalMs: 10 }, "good"],
    [{ statisticsIntervalMs: 11 }, "good"],
  ])("%j: %s", (change, expected) => {
    expect(judgeSettings(change)).toContain(expected);
  });

  test("says that a text is not JSON", () => {
    expect(parseControllerSettings("{")).toMatchObject({ error: { message: "it is not JSON" } });
  });
});

test.each([TABLE_FLOWS_MAX - 1, TABLE_FLOWS_MAX, TABLE_FLOWS_MAX + 1])(
  "MockFaults takes a table of %i flows only within its bound, and changes nothing otherwise",
  (tableFlows) => {
    const faults = new MockFaults(() => 0.5);
    const problem = faults.change({ delayMs: 5, tableFlows });
    expect(problem === undefined).toBe(tableFlows <= TABLE_FLOWS_MAX);
    expect(faults.values.delayMs).toBe(problem === undefined ? 5 : 0);
  },
);
