/**
 * YAML that readers of version 1.1 and of 1.2 understand alike.
 *
 * Pure. A MAC address of digits alone is a number to a reader of 1.1 (base 60), "yes" a boolean: they are quoted.
 */
import { stringify } from "yaml";

/** Returns one document. */
export function formatYaml(value: unknown): string {
  return stringify(value, { version: "1.1", lineWidth: 0, aliasDuplicateObjects: false });
}
