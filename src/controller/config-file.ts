/**
 * Reads the controller's configuration file and validates it by libyang.
 *
 * Effect: reads a file, calls libyang. Throws CONFIG_FILE_INVALID with the place of the mistake.
 */
import { readFileSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import type { ConfigData } from "../lib/service/provider.ts";
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

/** Returns the file's text. */
export function readConfigText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read "${path}"`, { cause });
  }
}

/** Says what is wrong with a configuration file. */
export function unusable(path: string, why: string): FlowliftError {
  return new FlowliftError("CONFIG_FILE_INVALID", `"${path}" cannot be used: ${why}`);
}

/** Returns the file's data, validated. */
export function readConfigData(context: YangContext, path: string): ConfigData {
  const parsed = context.parseConfig(readConfigText(path), "json");
  if (!parsed.ok) throw unusable(path, describeProblem(parsed.error));
  const data = parsed.value.toJson();
  parsed.value.free();
  return data as ConfigData;
}

/** Returns the model of the file's data; numbers for new names come from `ids`. */
export function readConfigFile(
  context: YangContext,
  path: string,
  ids: IdRegistry,
): ControllerModel {
  const model = parseModel(readConfigData(context, path), ids);
  if (model.ok) return model.value;
  throw unusable(path, model.error.message);
}
