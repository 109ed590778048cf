/** `flowlift deploy cloud-init`. Effect: reads the operator's documents, writes the volume. */

import { parseMachine } from "../../deploy/machine.ts";
import { planSeed, type SeedLayout } from "../../deploy/seed/documents.ts";
import { writeSeedVolume } from "../../deploy/seed/volume.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { DeployOutput, DeployWords } from "./deployments.ts";
import { readText } from "./read-file.ts";

/** A card that nobody sees: names and UUID are what is asked for here. */
const ANY_NIC = "02:00:00:00:00:01=any@any";

/** Writes the volume. */
export function writeSeed({ flags }: DeployWords): DeployOutput {
  const { values } = flags;
  const out = values["out"];
  const keys = values["ssh-keys"];
  if (out === undefined || keys === undefined) {
    throw new FlowliftError("USAGE", '"--ssh-keys FILE" and "--out FILE" are needed');
  }
  const layout = values["layout"] ?? "nocloud";
  if (!isLayout(layout)) {
    throw new FlowliftError("USAGE", `"--layout" is nocloud or config-drive, not "${layout}"`);
  }
  const machine = parseMachine({ name: values["name"], nics: [ANY_NIC], disk: undefined });
  if (!machine.ok) throw new FlowliftError("USAGE", machine.error.message);
  const words = {
    hostname: machine.value.label,
    uuid: machine.value.uuid,
    publicKeys: readText(keys),
    dayZero: values["day0"] === undefined ? undefined : readText(values["day0"]),
    networkConfig:
      values["network-config"] === undefined ? undefined : readText(values["network-config"]),
  };
  const volume = planSeed(words, layout);
  if (!volume.ok) throw new FlowliftError("USAGE", `No volume is made: ${volume.error.message}`);
  writeSeedVolume(volume.value, out);
  const names = [...volume.value.files.keys()].join(", ");
  return { words: `"${out}" is volume "${volume.value.label}" with ${names}` };
}

function isLayout(text: string): text is SeedLayout {
  return text === "nocloud" || text === "config-drive";
}
