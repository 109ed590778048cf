/**
 * `bench image`: size and start of the tenants' VM, and what offload is worth to it.
 *
 * Effect: an image, a lab with a VM, one with namespaces, and their traffic.
 */
import { statSync } from "node:fs";
import { cpus } from "node:os";
import type { LabMachine } from "../../lab/vm/lab-machine.ts";
import type { LabVmOptions } from "../../lab/vm/vm-options.ts";
import { timeTinyBoot } from "./image-boot.ts";
import { readGuestMemory } from "./image-memory.ts";
import { measureApplianceStart } from "./image-start.ts";
import { measureBulk, measurePackets } from "./path-throughput.ts";
import { type Figure, makeFigure } from "./report.ts";
import { BenchRig } from "./rig.ts";

const LAB_NAME = "bench-image";
const VM = "red-gw";
const WORTHY_PACKETS = 16;
const VM_PROCESSORS = 2;

/** Measures every figure of the image. */
export async function measureImage(
  rounds: number,
  announce: (line: string) => void,
): Promise<Figure[]> {
  const { prepareVms } = await import("../prepare-vms.ts");
  // As many processors as a small VM gets, where the machine has them.
  const vm = {
    ...(await prepareVms(announce)),
    processors: Math.min(VM_PROCESSORS, cpus().length),
  };
  const megabytes = statSync(vm.image.qcow2File).size / 1e6;
  const figures = [
    makeFigure({ id: "qcow2-size", unit: "MB", target: { of: "value", bound: "max", at: 80 } }, [
      megabytes,
    ]),
  ];
  const rig = await BenchRig.build(announce, LAB_NAME, vm);
  try {
    const machine = rig.lab.machine(VM);
    announce("measuring: memory");
    figures.push(
      makeFigure(
        { id: "ram-after-boot", unit: "MB", target: { of: "value", bound: "max", at: 220 } },
        [await readGuestMemory(machine)],
      ),
    );
    announce("measuring: packets and bytes a second");
    figures.push(...(await measureOffload(rig, rounds)));
    announce("measuring: time to NETCONF");
    figures.push(await measureBoot(machine, vm, rounds));
  } finally {
    await rig.close();
  }
  announce("measuring: appliance start to first forwarded packet, outside of VMs");
  figures.push(await measureApplianceStart(rounds, announce));
  return figures;
}

async function measureOffload(rig: BenchRig, rounds: number): Promise<Figure[]> {
  const [slow, fast, bulkSlow, bulkFast]: number[][] = [[], [], [], []];
  for (let round = 0; round < rounds; round++) {
    await rig.setOffloadPolicy(false, WORTHY_PACKETS);
    slow?.push((await measurePackets(rig, "red")) / 1e6);
    bulkSlow?.push((await measureBulk(rig, "red")) / 1e9);
    await rig.setOffloadPolicy(true, WORTHY_PACKETS);
    fast?.push((await measurePackets(rig, "red")) / 1e6);
    bulkFast?.push((await measureBulk(rig, "red")) / 1e9);
  }
  const least = (at: number) => ({ of: "ratio", bound: "min", at }) as const;
  return [
    makeFigure({ id: "vm-offloaded-packets", unit: "Mpps", target: least(20) }, fast ?? [], slow),
    makeFigure(
      { id: "vm-offloaded-tcp", unit: "Gbit/s", target: least(4) },
      bulkFast ?? [],
      bulkSlow,
    ),
  ];
}

/** Each round boots the VM and the smallest guest on the same kernel, one after the other. */
async function measureBoot(machine: LabMachine, vm: LabVmOptions, rounds: number): Promise<Figure> {
  const [toNetconf, toInit]: number[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    await machine.shutDown();
    toInit?.push(await timeTinyBoot(vm, machine.spec));
    const started = performance.now();
    await machine.start();
    toNetconf?.push((performance.now() - started) / 1000);
  }
  return makeFigure(
    { id: "time-to-netconf", unit: "s", target: { of: "ratio", bound: "max", at: 3 } },
    toNetconf ?? [],
    toInit,
  );
}
