/** The forms in which data can be shown. Pure, but for libyang, which writes XML. */
import type { ShellConnection } from "./connection.ts";
import { renderSet, renderTable, renderTree } from "./render.ts";

export const FORMS = ["tree", "set", "table", "json", "xml"] as const;
export type Form = (typeof FORMS)[number];

/** Returns RFC 7951 data as lines. */
export function formatData(
  connection: ShellConnection,
  data: Record<string, unknown>,
  form: Form,
): readonly string[] {
  const { roots } = connection;
  switch (form) {
    case "json":
      return JSON.stringify(data, undefined, 2).split("\n");
    case "xml":
      return connection.formatXml(data).split("\n");
    case "set":
      return renderSet(data, roots);
    case "table":
      return renderTable(data, roots);
    case "tree":
      return renderTree(data, roots);
  }
}
