/** The formats that the builder writes itself: cpio, the boot sector, ELF without its tail, GPT's script. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatEarlyConfig, formatMenu } from "../../src/image/boot-loader.ts";
import { type CpioEntry, packCpio } from "../../src/image/cpio.ts";
import { isElf, listNeeded, readModuleInfo, stripElf } from "../../src/image/elf.ts";
import { findPartition, formatSfdiskScript, layOutDisk } from "../../src/image/gpt.ts";
import { embedBootSector, embedCoreImage } from "../../src/image/grub-embed.ts";

const TIME = 1_700_000_000;

describe("cpio", () => {
  const entries: CpioEntry[] = [
    { kind: "directory", path: "dev", mode: 0o755 },
    { kind: "device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "init", mode: 0o755, data: Buffer.from("#!") },
    { kind: "link", path: "sh", target: "init" },
  ];

  test("is what Debian's cpio lists, with modes, owners, times and targets", () => {
    const archive = packCpio(entries, TIME);
    const options = {
      input: archive,
      encoding: "utf8" as const,
      env: { PATH: process.env["PATH"], TZ: "UTC", LC_ALL: "C" },
    };
    const listed = spawnSync("cpio", ["-tvn", "--quiet"], options).stdout;
    const lines = listed.trim().split("\n");
    expect(lines.map((line) => line.split(/\s+/).slice(0, 1)[0])).toEqual([
      "drwxr-xr-x",
      "crw-------",
      "-rwxr-xr-x",
      "lrwxrwxrwx",
    ]);
    expect(lines[1]).toMatch(/5, +1 Nov 14 +2023 dev\/console$/);
    expect(lines[3]).toMatch(/sh -> init$/);
    for (const line of lines) expect(line).toMatch(/^\S+ +\d+ (0|root) +(0|root) /);
  });

  test("aligns every member to four bytes, whatever its name's and data's length", () => {
    for (let length = 0; length < 9; length++) {
      const data = Buffer.alloc(length, 1);
      const path = "x".repeat(length + 1);
      const archive = packCpio([{ kind: "file", path, mode: 0o644, data }], TIME);
      expect(archive.length % 4).toBe(0);
      expect(archive.indexOf("070701", 1, "latin1") % 4).toBe(0);
    }
  });

  test("refuses paths from the root", () => {
    const entry: CpioEntry = { kind: "directory", path: "/dev", mode: 0o755 };
    expect(() => packCpio([entry], TIME)).toThrow("relative");
  });
});

describe("GRUB for BIOS", () => {
  const boot = Buffer.alloc(512, 0x11);
  boot.writeUInt16LE(0xaa55, 510);
  const table = Buffer.alloc(512, 0x22);

  test("the boot sector loads the core image and keeps the disk's table", () => {
    const sector = embedBootSector(boot, table, 2048);
    expect(sector.readBigUInt64LE(0x5c)).toBe(2048n);
    expect(sector.subarray(0x66, 0x68)).toEqual(Buffer.from([0x90, 0x90]));
    expect(sector.subarray(0x1b8, 0x1fe)).toEqual(table.subarray(0x1b8, 0x1fe));
    expect(sector.subarray(0x68, 0x1b8)).toEqual(boot.subarray(0x68, 0x1b8));
    expect(sector.readUInt16LE(510)).toBe(0xaa55);
  });

  test("the core image names its second sector and the number of those that follow", () => {
    const core = embedCoreImage(Buffer.alloc(3 * 512 + 1, 7), 2048, 2048);
    expect(core.length).toBe(4 * 512);
    expect(core.readBigUInt64LE(500)).toBe(2049n);
    expect(core.readUInt16LE(508)).toBe(3);
    expect(core.readUInt16LE(510)).toBe(0x820);
    expect(core[512]).toBe(7);
  });

  test("a core image that does not fit is refused: bound-1, bound, bound+1", () => {
    for (const sectors of [2, 3]) {
      expect(embedCoreImage(Buffer.alloc(sectors * 512), 1, 3).length).toBe(sectors * 512);
    }
    expect(() => embedCoreImage(Buffer.alloc(4 * 512), 1, 3)).toThrow("fits");
  });

  test("both boot loaders look for the partition by its serial number", () => {
    expect(formatEarlyConfig()).toMatch(/^search\.fs_uuid [0-9A-F]{4}-[0-9A-F]{4} root$/m);
    expect(formatMenu("a=b quiet")).toContain("linux /boot/vmlinuz a=b quiet\n");
  });
});

describe("the disk's layout", () => {
  const MIB = 2048;
  const bytes = {
    "flowlift-bios": 1 << 20,
    "flowlift-esp": (24 << 20) + 1,
    "flowlift-root": 5 << 20,
    "flowlift-data": 1,
  };
  const layout = layOutDisk(bytes);

  test("partitions are aligned, touch no other, hold what they should, and leave room for both tables", () => {
    let end = MIB;
    for (const { name, startSector, sectors } of layout.partitions) {
      expect(startSector).toBe(end);
      expect(startSector % MIB).toBe(0);
      expect(sectors * 512).toBeGreaterThanOrEqual(bytes[name]);
      end = startSector + sectors;
    }
    expect(layout.sectors).toBeGreaterThanOrEqual(end + 33);
    expect(findPartition(layout, "flowlift-esp").sectors).toBe(25 * MIB);
  });

  test("sfdisk gets every start, size and identifier from us", () => {
    const lines = formatSfdiskScript(layout).trim().split("\n");
    const partitions = lines.filter((line) => line.startsWith("start="));
    expect(partitions.length).toBe(4);
    for (const line of partitions) {
      expect(line).toMatch(/^start=\d+, size=\d+, type=[0-9A-F-]{36}, uuid=[0-9A-F-]{36}, name=/);
    }
    const ids = partitions.map((line) => /uuid=(\S+),/.exec(line)?.[1]);
    expect(new Set(ids).size).toBe(4);
  });

  test("an empty part is our own mistake", () => {
    expect(() => layOutDisk({ ...bytes, "flowlift-root": 0 })).toThrow("content");
  });
});

describe("ELF", () => {
  const program = readFileSync("/usr/bin/env");

  test("a stripped program is shorter and needs the same libraries", () => {
    const stripped = stripElf(program);
    expect(isElf(stripped)).toBe(true);
    expect(stripped.length).toBeLessThan(program.length);
    expect(listNeeded(stripped)).toEqual(listNeeded(program));
    expect(listNeeded(program)).toContain("libc.so.6");
  });

  test("text is no ELF file, and a short file neither", () => {
    expect(isElf(Buffer.from("#!/bin/sh\n".repeat(20)))).toBe(false);
    expect(isElf(program.subarray(0, 63))).toBe(false);
  });

  test("a module's keys are read as whole words", () => {
    const module = Buffer.from("x\0license=GPL\0depends=b,c\0xdepends=no\0alias=one\0alias=two\0");
    expect(readModuleInfo(module, "depends")).toEqual(["b,c"]);
    expect(readModuleInfo(module, "alias")).toEqual(["one", "two"]);
    expect(readModuleInfo(module, "vermagic")).toEqual([]);
  });
});
