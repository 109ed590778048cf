import { expect, test } from "vitest";
import { formatSetpriv, NOBODY, PRIVILEGES, ROOT } from "../../src/lab/privileges.ts";

test("no two kinds of processes share a user, and root is the helper alone", () => {
  const uids = Object.values(PRIVILEGES).map((privileges) => privileges.uid);
  expect(new Set(uids).size).toBe(uids.length);
  const roots = Object.entries(PRIVILEGES).filter(([, privileges]) => privileges.uid === 0);
  expect(roots.map(([kind]) => kind)).toEqual(["appliance-helper"]);
});

test("formatSetpriv() drops everything that is not named", () => {
  expect(formatSetpriv(PRIVILEGES["appliance-data"])).toEqual([
    "setpriv",
    "--reuid",
    "64002",
    "--regid",
    "64000",
    "--clear-groups",
    "--inh-caps=-all,+net_admin,+net_raw",
    "--ambient-caps=-all,+net_admin,+net_raw",
    "--bounding-set=-all,+net_admin,+net_raw",
    "--no-new-privs",
    "--pdeathsig",
    "KILL",
    "--",
  ]);
});

test("a host's programs hold nothing; ping's file capability stays in the bounding set", () => {
  const words = formatSetpriv(NOBODY);
  expect(words).toContain("--ambient-caps=-all");
  expect(words).toContain("--bounding-set=-all,+net_raw");
});

test("only the controller belongs to the group that reaches the agent's socket", () => {
  const members = Object.entries(PRIVILEGES).filter(([, { groups }]) => groups !== undefined);
  expect(members.map(([kind]) => kind)).toEqual(["controller", "virtual-machine"]);
  expect(PRIVILEGES["virtual-machine"].groups).not.toContain(64006);
  expect(formatSetpriv(PRIVILEGES.controller)).toContain("64006");
  expect(formatSetpriv(PRIVILEGES.controller)).not.toContain("--clear-groups");
});

test("root keeps its capabilities", () => {
  expect(formatSetpriv(ROOT).some((word) => word.includes("caps"))).toBe(false);
});
