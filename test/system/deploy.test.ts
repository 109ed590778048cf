/** The recipes of docs/deployment.md, run word for word, and every artefact before a reader that is not ours. */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { CONFIG_DRIVE_VOLUME_LABEL, NOCLOUD_VOLUME_LABEL } from "../../src/lib/guest/contract.ts";
import { MAIN } from "../controller/controller-process.ts";
import { readZip } from "../deploy/read-zip.ts";

const NAMESPACE = `gd${randomBytes(4).toString("hex")}`;
const NICS = "--nic 52:54:00:11:22:33=inside@net-a --nic 52:54:00:11:22:34=outside@net-b";
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-g-deploy-"));
  execFileSync("ip", ["netns", "add", NAMESPACE]);
  const program = `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`;
  writeFileSync(join(folder, "flowlift"), program, { mode: 0o755 });
});
afterAll(() => {
  execFileSync("ip", ["netns", "del", NAMESPACE]);
  rmSync(folder, { recursive: true, force: true });
});

function sh(script: string): string {
  const words = ["netns", "exec", NAMESPACE, "sh", "-euc", script];
  return execFileSync("ip", words, { cwd: folder, encoding: "utf8", stdio: "pipe" });
}

/** Returns a block of the page that begins with `# recipe: NAME`. */
function recipe(name: string): string {
  const page = readFileSync(join(findProjectRoot(), "docs", "deployment.md"), "utf8");
  const blocks = [...page.matchAll(/```sh\n# recipe: (.+)\n([\s\S]*?)```/g)];
  const found = blocks.find(([, title]) => title === name)?.[2];
  if (found === undefined) throw new Error(`the page has no recipe "${name}"`);
  return found;
}

test("the seed volumes are readable, and have the labels that the VM looks for", () => {
  const listed = sh(recipe("seed"));
  for (const name of ["meta-data", "user-data", "day0"]) expect(listed).toContain(`'/${name}'`);
  const label = (file: string): string =>
    readFileSync(join(folder, file))
      .toString("latin1", 16 * 2048 + 40, 16 * 2048 + 72)
      .trim();
  expect([label("seed.iso"), label("drive.iso")].map((text) => text.toLowerCase())).toEqual([
    NOCLOUD_VOLUME_LABEL,
    CONFIG_DRIVE_VOLUME_LABEL,
  ]);
  sh(
    "xorriso -osirrox on -indev seed.iso -extract /day0 out.xml 2>/dev/null; cmp out.xml day0.xml",
  );
  const again =
    "./flowlift deploy cloud-init --name red/gw --ssh-keys operator.pub --day0 day0.xml";
  sh(`${again} --out again.iso; cmp seed.iso again.iso`);
});

test("the libvirt recipe makes a domain that libvirt's own schema accepts", () => {
  sh(recipe("libvirt")); // virt-xml-validate ends with 0.
  // The judge can say no.
  const broken = "sed s/virtio-serial/virtio-cereal/ red-gw.xml > broken.xml";
  expect(() => sh(`${broken}; virt-xml-validate broken.xml domain`)).toThrow();
});

test("QEMU starts with the recipe's words and says over QMP that the VM runs", async () => {
  sh(recipe("qemu"));
  const words = ["netns", "exec", NAMESPACE, "./red-gw.sh"];
  const qemu = spawn("ip", words, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  qemu.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
  const ended = new Promise((resolve) => qemu.once("exit", resolve));
  try {
    const ports = join(folder, "ports", "red", "gw");
    expect(await askQmp(join(ports, "qmp.sock"), () => stderr)).toMatch(/"running": true/);
    for (const name of ["offload.sock", "manage.sock"]) {
      expect(existsSync(join(ports, name))).toBe(true);
    }
  } finally {
    qemu.kill("SIGKILL");
    await ended;
  }
}, 30_000);

/** Asks a QEMU for its status as soon as it listens. */
async function askQmp(path: string, why: () => string): Promise<string> {
  for (let turn = 0; turn < 400; turn++) {
    const answer = await tryQmp(path);
    if (answer !== undefined) return answer;
    if (why() !== "") throw new Error(why());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("QEMU does not answer");
}

function tryQmp(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let text = "";
    socket.on("error", () => resolve(undefined));
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString();
      if (!text.includes('"running"')) return;
      socket.destroy();
      resolve(text);
    });
    socket.on("connect", () => {
      socket.write('{"execute":"qmp_capabilities"}\n{"execute":"query-status"}\n');
    });
  });
}

test("the CSAR opens, and openssl confirms its manifest's signature", () => {
  sh(`[ -e red-gw.qcow2 ] || qemu-img create -q -f qcow2 red-gw.qcow2 1G\n${recipe("csar")}`);
  const manifest =
    readZip(readFileSync(join(folder, "flowlift.csar")))
      .get("flowlift.mf")
      ?.toString() ?? "";
  const at = manifest.indexOf("-----BEGIN CMS-----");
  writeFileSync(join(folder, "plain.mf"), manifest.slice(0, at));
  writeFileSync(join(folder, "sig.pem"), manifest.slice(at));
  const verify =
    "openssl cms -verify -binary -inform PEM -in sig.pem -CAfile cert.pem -purpose any";
  sh(`${verify} -content plain.mf -out /dev/null 2>&1`);
  writeFileSync(join(folder, "plain.mf"), manifest.slice(0, at).replace("0.1.0", "0.1.1"));
  expect(() => sh(`${verify} -content plain.mf -out /dev/null 2>&1`)).toThrow();
});

interface Manifest {
  readonly kind: string;
  readonly data?: Record<string, string>;
  readonly spec: {
    template: { metadata: { annotations: Record<string, string> }; spec: Record<string, never> };
  };
}

/** Reads YAML by another library than the one that wrote it, of YAML 1.1 as Heat's and others are. */
function pyYaml<T>(command: string): T {
  const program =
    "import sys,yaml,json; print(json.dumps(list(yaml.safe_load_all(sys.stdin)),default=str))";
  return JSON.parse(sh(`${command} | python3 -c '${program}'`)) as T;
}

test("the Heat template has the shape of HOT, and its addresses are texts", () => {
  const [template] = pyYaml<Record<string, Record<string, Record<string, never>>>[]>(
    `./flowlift deploy heat --name red/gw ${NICS}`,
  );
  const resources = template?.["resources"] ?? {};
  const { server, port_0: port } = resources;
  expect([server?.["type"], port?.["type"]]).toEqual(["OS::Nova::Server", "OS::Neutron::Port"]);
  const properties = port?.["properties"] as unknown as Record<string, unknown>;
  expect(properties).toMatchObject({ mac_address: "52:54:00:11:22:33", network: "net-a" });
  const references = JSON.stringify(server).match(/"get_resource":"port_\d"/g);
  expect(references).toEqual(['"get_resource":"port_0"', '"get_resource":"port_1"']);
});

test("KubeVirt's hook script adds the two ports to a domain that stays valid", () => {
  const documents = pyYaml<Manifest[]>(`./flowlift deploy kubevirt --name red/gw ${NICS}`);
  expect(documents.map(({ kind }) => kind)).toEqual([
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ConfigMap",
    "VirtualMachine",
  ]);
  const vm = documents[3]?.spec.template;
  const [sidecar] = JSON.parse(vm?.metadata.annotations["hooks.kubevirt.io/hookSidecars"] ?? "[]");
  const script = documents[2]?.data?.[sidecar.configMap.key] ?? "";
  writeFileSync(join(folder, "hook.sh"), script);
  const head = "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os>";
  const domain = `${head}<devices><memballoon model='virtio'/></devices></domain>`;
  writeFileSync(join(folder, "bare.xml"), domain);
  sh(
    `sh hook.sh --vmi '{}' --domain "$(cat bare.xml)" > full.xml; virt-xml-validate full.xml domain`,
  );
  const full = readFileSync(join(folder, "full.xml"), "utf8");
  expect(full.match(/<channel type="unix">/g)).toHaveLength(2);
});

test("Proxmox's commands are a script that sh can read, and its file has one option a line", () => {
  const words = `./flowlift deploy proxmox --id 200 --name red/gw ${NICS} --disk /srv/a.qcow2`;
  sh(`${words} --out px.sh; sh -n px.sh`);
  chmodSync(join(folder, "px.sh"), 0o755);
  const calls = sh("qm() { printf '%s\\n' \"$@\" --; }; mkdir() { :; }; . ./px.sh").split("\n");
  expect(calls.filter((word) => word === "--args")).toHaveLength(1);
  const file = sh(`${words} --conf`).trim().split("\n");
  expect(file.every((line) => /^[a-z]+[0-9]*: \S/.test(line))).toBe(true);
});
