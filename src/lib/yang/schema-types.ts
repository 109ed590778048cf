/**
 * TypeScript types of a module's configuration, in the form of RFC 7951 JSON.
 *
 * Pure. The result goes to generated/NAME.ts; a test compares file and module, and rewrites the
 * file when UPDATE_EXPECTED=1.
 */
import type { ShapeNode, ValueShape } from "./yang-js-view.ts";

/** Returns the text of a TypeScript file with one interface for each container and list. */
export function renderTypes(moduleName: string, shapes: readonly ShapeNode[]): string {
  const interfaces: string[] = [];
  const root = `${pascalCase(moduleName)}Data`;
  const members = shapes.map((shape) => member(shape, "", interfaces, `${moduleName}:`));
  return [
    "/**",
    ` * Configuration of ${moduleName}, as RFC 7951 JSON that libyang has validated.`,
    " *",
    " * Pure: types only. Generated from the module by test/yang/schema-types.test.ts; do not edit.",
    " */",
    "",
    `export interface ${root} {`,
    ...members,
    "}",
    ...interfaces,
    "",
  ].join("\n");
}

function member(
  shape: ShapeNode,
  path: string,
  interfaces: string[],
  qualifier: string = "",
): string {
  const key = `${qualifier}${shape.name}`;
  const quoted = /^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key);
  const mark = shape.optional ? "?" : "";
  return `  readonly ${quoted}${mark}: ${typeOf(shape, path, interfaces)};`;
}

function typeOf(shape: ShapeNode, path: string, interfaces: string[]): string {
  const value = shape.value === undefined ? "unknown" : valueText(shape.value);
  switch (shape.kind) {
    case "leaf":
    case "anydata":
      return value;
    case "leaf-list":
      return value.includes(" ") ? `readonly (${value})[]` : `readonly ${value}[]`;
    case "container":
    case "list": {
      const name = `${path}${pascalCase(shape.name)}`;
      const at = interfaces.length;
      const members = shape.children.map((child) => member(child, name, interfaces));
      interfaces.splice(at, 0, ["", `export interface ${name} {`, ...members, "}"].join("\n"));
      return shape.kind === "list" ? `readonly ${name}[]` : name;
    }
  }
}

function valueText(value: ValueShape): string {
  switch (value.kind) {
    case "enumeration":
      return value.names.map((name) => JSON.stringify(name)).join(" | ");
    case "union":
      return [...new Set(value.members.map(valueText))].join(" | ");
    case "empty":
      return "readonly [null]";
    case "any":
      return "string | number | boolean";
    default:
      return value.kind;
  }
}

function pascalCase(name: string): string {
  return name
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
