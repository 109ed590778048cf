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
import { YangContext } from "../lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../lib/yang/yang-directories.ts";
import { checkReferences } from "./check-references.ts";
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

/** Reads and checks a lab file. */
export function readLabFile(file: string): LabDefinition {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read the lab file "${file}"`, { cause });
  }
  const yang = createLabYang();
  try {
    const parsed = parseLabText(text, yang);
    if (parsed.ok) return parsed.value;
    const { line, reason } = parsed.error;
    throw new FlowliftError("CONFIG_FILE_INVALID", `${file}:${line}: ${reason}`);
  } finally {
    yang.destroy();
  }
}

/** Returns the schema of lab files; the caller destroys it. */
export function createLabYang(): YangContext {
  return YangContext.create({
    searchDirectories: defaultYangDirectories(findProjectRoot()),
    modules: [{ name: "flowlift-lab" }],
  });
}

/** Checks the text of a lab file. */
export function parseLabText(
  text: string,
  yang: YangContext,
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
  const wrong = checkReferences(definition);
  if (wrong !== undefined) return problem(yaml.value.lineOfPath(wrong.path), wrong.reason);
  return ok(definition);
}

function problem(line: number, reason: string): Result<never, LabFileProblem> {
  return err({ kind: "lab-file-invalid", line, reason });
}
