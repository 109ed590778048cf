/** The examples' configurations are what the appliance accepts. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { APPLIANCE_MODULES } from "../../src/appliance/modules.ts";
import { readLabFile } from "../../src/lab/lab-file.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { YangContext } from "../../src/lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../../src/lib/yang/yang-directories.ts";

const EXAMPLES = join(findProjectRoot(), "examples");
const FILES = readdirSync(EXAMPLES).filter((name) => /^lab-.*\.yaml$/.test(name));

const yang = YangContext.create({
  searchDirectories: defaultYangDirectories(findProjectRoot()),
  modules: APPLIANCE_MODULES,
});
afterAll(() => yang.destroy());

test("there is an example for each function and for all of them", () => {
  expect(FILES).toEqual(["lab-all.yaml", "lab-firewall.yaml", "lab-lb.yaml", "lab-nat.yaml"]);
});

test.each(FILES)("the appliances of %s have a configuration that libyang accepts", (file) => {
  const lab = readLabFile(join(EXAMPLES, file));
  const appliances = lab.tenants.flatMap((tenant) => tenant.appliances);
  expect(appliances.length).toBe(2);
  for (const { configuration } of appliances) {
    expect(Object.keys(configuration).length).toBeGreaterThan(1);
    const parsed = yang.parseConfig(JSON.stringify(configuration), "json");
    expect(parsed.ok ? undefined : parsed.error).toBeUndefined();
    if (parsed.ok) parsed.value.free();
  }
});
