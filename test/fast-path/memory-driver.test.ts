import { MemoryDriver } from "../../src/fast-path/memory/memory-driver.ts";
import { describeDriverContract } from "./contract.ts";

describeDriverContract("memory", async (limits) => {
  const driver = new MemoryDriver({ limits });
  return {
    driver,
    interfaceNames: ["inside", "outside", "vm"],
    play: (portId, frame) => driver.playFrame(portId, frame),
    close: () => driver.close(),
  };
});
