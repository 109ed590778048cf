/**
 * Reads a lab file: YAML that carries RFC 7951 data of flowlift-lab.yang.
 *
 * Effect: reads the file; libyang validates. Throws CONFIG_FILE_INVALID with file, line and reason.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import { YangContext, type YangModuleRequest } from "../lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../lib/yang/yang-directories.ts";
import { checkReferences, type ReferenceProblem } from "./check-references.ts";
import { type LabDefinition, parseLabDefinition } from "./definition.ts";
import { parseYamlText } from "./yaml-text.ts";

export interface LabFileProblem {
  readonly kind: "lab-file-invalid";
  /** From 1. */
  readonly line: number;
  readonly reason: string;
}

/** The lab that starts when no file is named. */
export function defaultLabFile(): string {
  return join(findProjectRoot(), "examples", "lab-all.yaml");
}

/**
 * Reads and checks a lab file; with `applianceModules`, the appliances' configurations too, which are
 * otherwise refused by the appliance itself when it starts.
 */
export function readLabFile(
  file: string,
  applianceModules: readonly YangModuleRequest[] = [],
): LabDefinition {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read the lab file "${file}"`, { cause });
  }
  const yang = createLabYang();
  const applianceYang =
    applianceModules.length === 0 ? undefined : createYang([...applianceModules]);
  try {
    const parsed = parseLabText(text, yang, applianceYang);
    if (parsed.ok) return parsed.value;
    const { line, reason } = parsed.error;
    throw new FlowliftError("CONFIG_FILE_INVALID", `${file}:${line}: ${reason}`);
  } finally {
    yang.destroy();
    applianceYang?.destroy();
  }
}

/** Returns the schema of lab files; the caller destroys it. */
export function createLabYang(): YangContext {
  return createYang([{ name: "flowlift-lab" }]);
}

function createYang(modules: readonly YangModuleRequest[]): YangContext {
  const searchDirectories = defaultYangDirectories(findProjectRoot());
  return YangContext.create({ searchDirectories, modules });
}

/** Checks the text of a lab file, and with `applianceYang` the configurations in it. */
export function parseLabText(
  text: string,
  yang: YangContext,
  applianceYang?: YangContext,
): Result<LabDefinition, LabFileProblem> {
  const yaml = parseYamlText(text);
  if (!yaml.ok) return problem(yaml.error.line, yaml.error.reason);
  const parsed = yang.parseConfig(yaml.value.json, "json");
  if (!parsed.ok) {
    const { path, line, message } = parsed.error;
    const yamlLine =
      line === undefined ? yaml.value.lineOfPath(path ?? "") : yaml.value.lineOfJsonLine(line);
    return problem(yamlLine, path === undefined ? message : `${path}: ${message}`);
  }
  parsed.value.free();
  const data = JSON.parse(yaml.value.json) as Readonly<Record<string, unknown>>;
  if (data["flowlift-lab:lab"] === undefined)
    return problem(1, 'The file has no "flowlift-lab:lab"');
  const definition = parseLabDefinition(data);
  const wrong = checkReferences(definition) ?? checkConfigurations(definition, applianceYang);
  if (wrong !== undefined) return problem(yaml.value.lineOfPath(wrong.path), wrong.reason);
  return ok(definition);
}

function checkConfigurations(
  definition: LabDefinition,
  yang: YangContext | undefined,
): ReferenceProblem | undefined {
  if (yang === undefined) return undefined;
  for (const tenant of definition.tenants) {
    for (const { name, configuration } of tenant.appliances) {
      const owner = `/flowlift-lab:lab/tenant[name='${tenant.name}']/appliance[name='${name}']`;
      const parsed = yang.parseConfig(JSON.stringify(configuration), "json");
      if (!parsed.ok) {
        const { path = "", message } = parsed.error;
        const reason = path === "" ? message : `${path}: ${message}`;
        return { path: `${owner}/configuration${path}`, reason };
      }
      parsed.value.free();
    }
  }
  return undefined;
}

function problem(line: number, reason: string): Result<never, LabFileProblem> {
  return err({ kind: "lab-file-invalid", line, reason });
}
