/**
 * The layout of the disk: where each partition lies, and what sfdisk is told.
 *
 * Pure. Source: UEFI Specification 2.10 §5.3; GRUB manual, "BIOS installation"; the Discoverable Partitions
 * Specification for the type of the root partition.
 * Invariant: partitions are aligned to 1 MiB and do not overlap; all identifiers are fixed.
 */
import { assert } from "../lib/base/assert.ts";

export const SECTOR_BYTES = 512;
const ALIGNMENT_SECTORS = 2048;
/** The second table of GPT at the end of the disk: 32 sectors of entries and its header. */
const BACKUP_SECTORS = 33;

export type PartitionName = "flowlift-bios" | "flowlift-esp" | "flowlift-root" | "flowlift-data";

export interface Partition {
  readonly name: PartitionName;
  readonly startSector: number;
  readonly sectors: number;
}

export interface DiskLayout {
  readonly partitions: readonly Partition[];
  readonly sectors: number;
}

export const PARTITION_NAMES: readonly PartitionName[] = [
  "flowlift-bios",
  "flowlift-esp",
  "flowlift-root",
  "flowlift-data",
];

const TYPES: Readonly<Record<PartitionName, string>> = {
  "flowlift-bios": "21686148-6449-6E6F-744E-656564454649",
  "flowlift-esp": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
  "flowlift-root": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
  "flowlift-data": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
};

/** Version 4 identifiers drawn once; what tells VMs apart lies on the data partition. */
const DISK_ID = "6B1B3A52-6C4E-4C57-9B0E-2D6E6A1F0C01";
const IDS: Readonly<Record<PartitionName, string>> = {
  "flowlift-bios": "6B1B3A52-6C4E-4C57-9B0E-2D6E6A1F0C02",
  "flowlift-esp": "6B1B3A52-6C4E-4C57-9B0E-2D6E6A1F0C03",
  "flowlift-root": "6B1B3A52-6C4E-4C57-9B0E-2D6E6A1F0C04",
  "flowlift-data": "6B1B3A52-6C4E-4C57-9B0E-2D6E6A1F0C05",
};

/** Lays the partitions out in the order of `PARTITION_NAMES`. */
export function layOutDisk(bytesOf: Readonly<Record<PartitionName, number>>): DiskLayout {
  let next = ALIGNMENT_SECTORS;
  const partitions = PARTITION_NAMES.map((name) => {
    assert(bytesOf[name] > 0, "a partition has content");
    const sectors = alignUp(Math.ceil(bytesOf[name] / SECTOR_BYTES));
    const startSector = next;
    next += sectors;
    return { name, startSector, sectors };
  });
  return { partitions, sectors: alignUp(next + BACKUP_SECTORS) };
}

/** Returns what sfdisk reads from its standard input. */
export function formatSfdiskScript(layout: DiskLayout): string {
  const lines = layout.partitions.map(({ name, startSector, sectors }) =>
    [
      `start=${startSector}`,
      `size=${sectors}`,
      `type=${TYPES[name]}`,
      `uuid=${IDS[name]}`,
      `name=${name}`,
    ].join(", "),
  );
  return ["label: gpt", `label-id: ${DISK_ID}`, "unit: sectors", "", ...lines, ""].join("\n");
}

/** Returns where a partition lies. */
export function findPartition(layout: DiskLayout, name: PartitionName): Partition {
  const found = layout.partitions.find((partition) => partition.name === name);
  assert(found !== undefined, "the layout has every partition");
  return found;
}

function alignUp(sectors: number): number {
  return Math.ceil(sectors / ALIGNMENT_SECTORS) * ALIGNMENT_SECTORS;
}
