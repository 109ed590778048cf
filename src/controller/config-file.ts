/**
 * Reads the controller's configuration file and validates it by libyang.
 *
 * Effect: reads a file, calls libyang. Throws CONFIG_FILE_INVALID with the place of the mistake.
 */
import { readFileSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import { YangContext } from "../lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../lib/yang/yang-directories.ts";
import { describeProblem } from "../lib/yang/yang-problem.ts";
import type { IdRegistry } from "./id-registry.ts";
import { type ControllerModel, parseModel } from "./model.ts";

/** Returns the schema of the configuration. */
export function createConfigContext(): YangContext {
  return YangContext.create({
    searchDirectories: defaultYangDirectories(findProjectRoot()),
    modules: [{ name: "flowlift-controller" }],
  });
}

/** Returns the model of the file's data; numbers for new names come from `ids`. */
export function readConfigFile(
  context: YangContext,
  path: string,
  ids: IdRegistry,
): ControllerModel {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read "${path}"`, { cause });
  }
  const parsed = context.parseConfig(text, "json");
  if (!parsed.ok) {
    const why = describeProblem(parsed.error);
    throw new FlowliftError("CONFIG_FILE_INVALID", `"${path}" cannot be used: ${why}`);
  }
  const data = parsed.value.toJson();
  parsed.value.free();
  const model = parseModel(data, ids);
  if (model.ok) return model.value;
  throw new FlowliftError(
    "CONFIG_FILE_INVALID",
    `"${path}" cannot be used: ${model.error.message}`,
  );
}
