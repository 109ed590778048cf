import { expect, test } from "vitest";
import { VM_LIMITS_DEFAULT } from "../../src/offload-bridge/limits.ts";
import { parseBridgeSettings, VMS_MAX } from "../../src/offload-bridge/settings.ts";
import { SOCKET_PATH_BYTES_MAX } from "../../src/offload-protocol/placements.ts";

const VM = { tenant: "red", vm: "red-1", socketPath: "/run/red.sock", mode: "listen" };
const GOOD = {
  hostName: "host-1",
  controller: { address: "127.0.0.1:9000" },
  pkiDirectory: "/etc/flowlift",
  vms: [VM],
};

function judge(value: unknown): string {
  const result = parseBridgeSettings(JSON.stringify(value));
  return result.ok ? "ok" : result.error.message;
}

test("parseBridgeSettings() reads the file, with defaults for limits", () => {
  expect(parseBridgeSettings(JSON.stringify(GOOD))).toEqual({
    ok: true,
    value: {
      hostName: "host-1",
      controllerAddress: "127.0.0.1:9000",
      pkiDirectory: "/etc/flowlift",
      vms: [VM],
      limits: VM_LIMITS_DEFAULT,
    },
  });
});

test("parseBridgeSettings() takes some limits and leaves the rest", () => {
  const result = parseBridgeSettings(JSON.stringify({ ...GOOD, limits: { messagesPerSec: 7 } }));
  expect(result.ok && result.value.limits).toEqual({ ...VM_LIMITS_DEFAULT, messagesPerSec: 7 });
});

const WRONG: [string, unknown, RegExp][] = [
  ["no object", 5, /the file is no object/],
  ["an unknown member", { ...GOOD, hostname: "x" }, /unknown member "hostname"/],
  ["a host name that is a path", { ...GOOD, hostName: "../x" }, /"hostName" is no name/],
  ["no controller", { ...GOOD, controller: undefined }, /"controller" is no object/],
  ["an address without port", { ...GOOD, controller: { address: "here" } }, /host:port/],
  ["no folder", { ...GOOD, pkiDirectory: "" }, /"pkiDirectory" is no text/],
  ["no list", { ...GOOD, vms: {} }, /"vms" is not a list/],
  ["an unknown mode", { ...GOOD, vms: [{ ...VM, mode: "x" }] }, /"vms\[0\].mode"/],
  ["a missing tenant", { ...GOOD, vms: [{ ...VM, tenant: 5 }] }, /"vms\[0\].tenant"/],
  ["a long tenant", { ...GOOD, vms: [{ ...VM, tenant: "x".repeat(65) }] }, /more than 64 bytes/],
  ["a VM twice", { ...GOOD, vms: [VM, { ...VM, socketPath: "/x" }] }, /virtual machine .* twice/],
  ["a socket twice", { ...GOOD, vms: [VM, { ...VM, vm: "x" }] }, /socketPath .* twice/],
  ["an unknown limit", { ...GOOD, limits: { x: 1 } }, /unknown member "x"/],
  ["a limit of 0", { ...GOOD, limits: { messagesPerSec: 0 } }, /"limits.messagesPerSec"/],
  ["a limit that is text", { ...GOOD, limits: { bytesPerSec: "1" } }, /"limits.bytesPerSec"/],
  ["a message above the protocol's", { ...GOOD, limits: { messageBytesMax: 4194305 } }, /above/],
  ["a burst below a message", { ...GOOD, limits: { bytesBurst: 1000 } }, /is below/],
];

test.each(WRONG)("parseBridgeSettings() refuses %s and names it", (_, value, message) => {
  expect(judge(value)).toMatch(message);
});

test("parseBridgeSettings() refuses what is no JSON", () => {
  expect(parseBridgeSettings("{").ok).toBe(false);
});

test("parseBridgeSettings() takes VMS_MAX virtual machines and refuses one more", () => {
  const vms = (count: number): unknown =>
    Array.from({ length: count }, (_, index) => ({
      ...VM,
      vm: `${index}`,
      socketPath: `/${index}`,
    }));
  expect(judge({ ...GOOD, vms: vms(VMS_MAX - 1) })).toBe("ok");
  expect(judge({ ...GOOD, vms: vms(VMS_MAX) })).toBe("ok");
  expect(judge({ ...GOOD, vms: vms(VMS_MAX + 1) })).toMatch(/more than/);
});

test("parseBridgeSettings() takes a path of SOCKET_PATH_BYTES_MAX and refuses one byte more", () => {
  const at = (bytes: number): unknown => ({
    ...GOOD,
    vms: [{ ...VM, socketPath: "x".repeat(bytes) }],
  });
  expect(judge(at(SOCKET_PATH_BYTES_MAX - 1))).toBe("ok");
  expect(judge(at(SOCKET_PATH_BYTES_MAX))).toBe("ok");
  expect(judge(at(SOCKET_PATH_BYTES_MAX + 1))).toMatch(/more than/);
});
