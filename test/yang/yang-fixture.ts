/** Modules and contexts that the YANG tests share. Effect: loads libyang, writes temporary files. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { YangContext, type YangModuleRequest } from "../../src/lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../../src/lib/yang/yang-directories.ts";

export const YANG_DIRECTORIES: readonly string[] = defaultYangDirectories(findProjectRoot());

/** Every module that the appliance or the controller loads. */
export const PRODUCT_MODULES: readonly YangModuleRequest[] = [
  { name: "ietf-netconf", features: "all" },
  { name: "ietf-netconf-with-defaults" },
  { name: "ietf-netconf-monitoring" },
  { name: "ietf-netconf-acm" },
  { name: "ietf-netconf-notifications" },
  { name: "ietf-yang-library" },
  { name: "ietf-interfaces" },
  { name: "ietf-ip" },
  { name: "iana-if-type" },
  { name: "ietf-system" },
  { name: "ietf-nat", features: "all" },
  { name: "ietf-access-control-list", features: "all" },
  { name: "flowlift-zones" },
  { name: "flowlift-load-balancer" },
  { name: "flowlift-offload" },
  { name: "flowlift-controller" },
  { name: "flowlift-lab" },
];

/** Returns a context of the product's modules. */
export function productContext(
  modules: readonly YangModuleRequest[] = PRODUCT_MODULES,
): YangContext {
  return YangContext.create({ searchDirectories: YANG_DIRECTORIES, modules });
}

/** Runs `use` with a context of one module, `module t { … body … }`. */
export function withModule<T>(body: string, use: (yang: YangContext) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "flowlift-yang-"));
  try {
    const text = `module t { yang-version 1.1; namespace "urn:t"; prefix t; ${body} }`;
    writeFileSync(join(directory, "t.yang"), text);
    const yang = YangContext.create({
      searchDirectories: [directory],
      modules: [{ name: "t", features: "all" }],
    });
    try {
      return use(yang);
    } finally {
      yang.destroy();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
