/** `flowlift cli` on a real appliance-manage: scripts, a conversation on a terminal, mistakes. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MAIN, ManageFixture, runProgram, USER } from "./netconf-fixture.ts";

const fixture = new ManageFixture();

beforeAll(async () => {
  await fixture.data.start();
  await fixture.start();
  await fixture.applied();
});
afterAll(() => fixture.dispose());

function words(...more: string[]): string[] {
  const target = [`${USER}@127.0.0.1`, "--port", `${fixture.port}`, "--key", fixture.keyFile];
  return [MAIN, "cli", ...target, ...more];
}

const run = (script: string): Promise<string> => runProgram(process.execPath, words(), script);

describe("a script", () => {
  test("sets, compares, commits and shows in every form", async () => {
    const out = await run(`configure
# an interface with two addresses
set interfaces interface eth0 type ethernetCsmacd
set interfaces interface eth0 description "to the inside"
set interfaces interface eth0 ipv4 address 10.0.0.1 prefix-length 24
compare
commit comment first light
show interfaces
show interfaces | display set
show interfaces | display json
show interfaces | display xml
run show history`);
    expect(out).toContain('+ interfaces interface eth0 description "to the inside"');
    expect(out).toContain("Committed");
    expect(out).toMatch(/interface eth0 \{\n +description "to the inside";/);
    expect(out).toContain("set interfaces interface eth0 ipv4 address 10.0.0.1 prefix-length 24");
    expect(out).toContain('"description": "to the inside"');
    expect(out).toContain("<description>to the inside</description>");
    expect(out).toContain("first light");
    expect(fixture.data.lastConfig).toMatchObject({
      "ietf-interfaces:interfaces": { interface: [{ name: "eth0", description: "to the inside" }] },
    });
  });

  test("deletes, rolls back, goes down and up, and discards", async () => {
    const out = await run(`configure
edit interfaces interface eth0
set description second
delete ipv4 address 10.0.0.1
top
compare
commit
rollback 1
compare
commit
show interfaces | display set
set interfaces interface eth9 type ethernetCsmacd
discard
compare`);
    expect(out).toContain("- interfaces interface eth0 ipv4 address 10.0.0.1 prefix-length 24");
    expect(out).toContain('+ interfaces interface eth0 description "to the inside"');
    expect(out.trimEnd().split("\n").at(-1)).not.toContain("eth9");
    expect(out).not.toContain("error");
  });

  test("loads a file and confirms a commit", async () => {
    const file = join(fixture.folder, "load.json");
    const interfaces = [{ name: "eth1", type: "iana-if-type:ethernetCsmacd" }];
    writeFileSync(
      file,
      JSON.stringify({ "ietf-interfaces:interfaces": { interface: interfaces } }),
    );
    const out = await run(`configure
load merge ${file}
commit check
commit confirmed 1
confirm
show interfaces | display set`);
    expect(out).toContain("The candidate is valid");
    expect(out).toContain('"confirm" within 1 minutes');
    expect(out).toContain("set interfaces interface eth1 type ethernetCsmacd");
  });

  test.each([
    ["an unknown node", "set interfaces interfce eth0", 'There is no "interfce" in "interfaces"'],
    ["a missing key", "set interfaces interface", '"interface" needs its key name'],
    ["a wrong value", "set interfaces interface eth0 enabled perhaps", "boolean"],
    ["an open quote", 'set interfaces interface "eth0', "A quote is not closed"],
    ["an unknown command", "frobnicate", 'There is no command "frobnicate"'],
    ["a deletion of nothing", "delete interfaces interface eth77", "error: "],
    ["a form that is none", "show | display pie", "display tree|set|table|json|xml"],
    ["a number that is none", "rollback many", 'not "many"'],
    ["a file that is not there", "load merge /nonexistent", "Cannot read"],
  ])("ends at %s, says what is wrong, and changes nothing", async (_name, line, text) => {
    const out = await run(`configure\n${line}\nset interfaces interface never type ethernetCsmacd`);
    expect(out).toContain(text);
    expect(await run("show configuration | display set")).not.toContain("never");
    expect(out).not.toContain("    at ");
  });

  test("its exit code tells whether every line held", async () => {
    const code = (script: string): Promise<number | null> =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, words("--command", script), { stdio: "ignore" });
        child.once("exit", resolve);
      });
    expect(await code("show configuration; exit")).toBe(0);
    expect(await code("show configuration; nonsense")).toBe(1);
  });
});

test("a conversation completes commands, nodes and keys, and survives mistakes", async () => {
  const command = [process.execPath, ...words()].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let shown = "";
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString();
  });
  const says = async (text: string): Promise<void> => {
    for (let tries = 0; !shown.includes(text); tries++) {
      if (tries > 500) throw new Error(`not shown: ${text}; but: ${shown}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    shown = shown.slice(shown.indexOf(text) + text.length);
  };
  // What comes in one piece is taken for a paste, in which a tab completes nothing.
  const type = async (...pieces: readonly string[]): Promise<void> => {
    for (const piece of pieces) {
      child.stdin.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  };
  await says("> ");
  await type("conf", "\t", "\r");
  await says("# ");
  await type("set interf", "\t", "interface eth", "\t");
  await says("interfaces interface ");
  await type("\t", "\t");
  await says("eth0");
  await type("\x15", "nonsense", "\r");
  await says("There is no command");
  await says("# ");
  await type("exit", "\r", "exit", "\r");
  expect(await ended).toBe(0);
});
