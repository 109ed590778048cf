/** NETCONF over TLS and call home of a real appliance-manage: OpenSSL, Python's ssl, ncclient, curl. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Driver,
  ManageFixture,
  PYTHON,
  runProgram,
  USER,
  waitFor,
} from "./netconf-fixture.ts";

const fixture = new ManageFixture();
const children: ChildProcess[] = [];
let driver: Driver;
let port = 0;
const MARK = "]]>]]>";
const TLS = "urn:flowlift:tls";

beforeAll(async () => {
  makeCertificates();
  port = await findFreePort();
  await fixture.data.start();
  await fixture.start();
  await fixture.applied();
  driver = fixture.driver();
  await fixture.connect(driver, "a");
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await fixture.dispose();
});

const at = (name: string): string => join(fixture.folder, name);

/** As an operator would make them: an authority, three clients of it, and a stranger of the same name. */
function makeCertificates(): void {
  const openssl = (...args: string[]): unknown =>
    execFileSync("openssl", args, { cwd: fixture.folder, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  for (const name of ["ca", "stranger"]) {
    const subject = ["-subj", `/CN=${name === "ca" ? "ca" : "alice"}`];
    openssl("req", "-x509", ...key, "-keyout", `${name}.key`, "-out", `${name}.crt`, ...subject);
  }
  const client = (name: string, extension: string, days: string): void => {
    writeFileSync(at(`${name}.ext`), `${extension}\nextendedKeyUsage=clientAuth\n`);
    openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    const by = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", days];
    const files = ["-in", `${name}.csr`, "-out", `${name}.crt`, "-extfile", `${name}.ext`];
    openssl("x509", "-req", ...files, ...by);
  };
  client("alice", "subjectAltName=email:Alice@Example.ORG", "2");
  client("old", "subjectAltName=email:old@example.org", "-1");
  client(USER, `subjectAltName=email:nobody@example.org`, "2");
}

function findFreePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      const found = typeof address === "object" ? (address?.port ?? 0) : 0;
      server.close(() => resolve(found));
    });
  });
}

const fingerprint = (name: string): string => {
  const args = ["x509", "-in", at(`${name}.crt`), "-noout", "-fingerprint", "-sha256"];
  const text = execFileSync("openssl", args).toString();
  return `04:${text.split("=")[1]?.trim()}`;
};

const certificateIn = (list: string, name: string): string =>
  `<${list}><name>${name}</name><certificate>${readFileSync(at(`${name}.crt`), "utf8")}</certificate></${list}>`;

const rule = (id: number, of: string, mapType: string, name = ""): string =>
  `<cert-to-name><id>${id}</id><fingerprint>${fingerprint(of)}</fingerprint>` +
  `<map-type>${mapType}</map-type>${name && `<name>${name}</name>`}</cert-to-name>`;

const tls = (clients: string, enabled = true): string =>
  `<netconf-tls xmlns="${TLS}"><enabled>${enabled}</enabled><address>127.0.0.1</address>` +
  `<port>${port}</port><client-authentication>${clients}</client-authentication></netconf-tls>`;

async function commit(config: string): Promise<void> {
  const edited = await driver.edit("a", config);
  expect(edited.error).toBeUndefined();
  const committed = await driver.call("a", "commit");
  expect(committed.error).toBeUndefined();
}

const stateOf = async (container: string): Promise<string> =>
  (await driver.call("a", "get", { filter: ["subtree", container] })).xml ?? "";

const auditLines = (): string => readFileSync(join(fixture.stateDirectory, "audit.log"), "utf8");

/** `openssl s_client` as a NETCONF client: sends the messages one after the other, each after an answer. */
function sClient(name: string | undefined, messages: readonly string[], more: string[] = []) {
  const who = name === undefined ? [] : ["-cert", at(`${name}.crt`), "-key", at(`${name}.key`)];
  const trust = ["-CAfile", at("server.crt"), "-verify_return_error"];
  const where = ["-quiet", "-connect", `127.0.0.1:${port}`];
  const child = spawn("openssl", ["s_client", ...where, ...trust, ...who, ...more]);
  children.push(child);
  let output = "";
  let sent = 0;
  const answers = (): number => output.split(MARK).length - 1;
  return new Promise<string>((resolve) => {
    child.stdin.on("error", () => {});
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      // The client's hello is not answered.
      for (; answers() > 0 && sent < messages.length && sent <= answers(); sent++) {
        child.stdin.write(`${messages[sent]}${MARK}`);
      }
    });
    child.once("close", () => resolve(output));
  });
}

const NC = "urn:ietf:params:xml:ns:netconf:base:1.0";
const hello = (base: string): string =>
  `<hello xmlns="${NC}"><capabilities><capability>urn:ietf:params:netconf:base:${base}</capability>` +
  "</capabilities></hello>";
const rpc = (operation: string): string => `<rpc xmlns="${NC}" message-id="1">${operation}</rpc>`;
const SESSIONS =
  '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><sessions/></netconf-state>';
const GET_SESSIONS = rpc(`<get><filter>${SESSIONS}</filter></get>`);

test("a client with a certificate of the authority is the user that its address names", async () => {
  const known = certificateIn("trusted-authority", "ca");
  await commit(tls(known + rule(10, "ca", "san-rfc822-name")));
  const state = await stateOf(`<netconf-tls xmlns="${TLS}"/>`);
  expect(state).toContain(`<state><port>${port}</port>`);
  // What the operator configured comes first.
  const own = state.slice(state.indexOf("<state>"));
  writeFileSync(at("server.crt"), /-----BEGIN[^<]*-----END CERTIFICATE-----/.exec(own)?.[0] ?? "");
  const messages = [hello("1.0"), GET_SESSIONS, rpc("<close-session/>")];
  const answers = await sClient("alice", messages);
  expect(answers).toContain("<session-id>");
  expect(answers).toMatch(/<transport[^>]*>ncm:netconf-tls<.*<username>Alice@example\.org</s);
  expect(answers).toContain("<ok/>");
  await waitFor(() => auditLines().includes('"user":"Alice@example.org"'), "it is audited");
});

test("chunks carry the messages after a hello of 1.1, over TLS 1.2 too", async () => {
  const child = sClient(
    "alice",
    [`${hello("1.1")}${MARK}\n#${GET_SESSIONS.length}\n${GET_SESSIONS}\n##\n`],
    ["-tls1_2"],
  );
  setTimeout(() => children.at(-1)?.stdin?.end(), 1_500);
  expect(await child).toMatch(/\n#\d+\n<rpc-reply.*ncm:netconf-tls.*\n##\n/s);
});

test("no certificate, a stranger's and an old one get no session, and are audited", async () => {
  for (const name of [undefined, "stranger", "old"]) {
    expect(await sClient(name, [hello("1.0")])).toBe("");
  }
  await waitFor(
    () =>
      (auditLines().match(/"user":"certificate [^"]*".*"outcome":"refused"/g)?.length ?? 0) >= 3,
    "they are audited",
  );
  expect(auditLines()).toContain(`"user":"certificate ${fingerprint("stranger").toLowerCase()}"`);
  expect(await stateOf(`<netconf-tls xmlns="${TLS}"/>`)).toContain("<refused>3</refused>");
});

test("a certificate cannot name its owner a recovery user; a pinned one with its own rule may", async () => {
  await commit(tls(rule(5, "ca", "common-name")));
  expect(await sClient(USER, [hello("1.0")])).toBe("");
  const pinned = certificateIn("pinned-certificate", "stranger");
  await commit(tls(pinned + rule(1, "stranger", "specified", USER)));
  const answers = await sClient("stranger", [hello("1.0"), GET_SESSIONS, rpc("<close-session/>")]);
  expect(answers).toMatch(new RegExp(`ncm:netconf-tls<.*<username>${USER}<`, "s"));
});

test("a text that is no certificate fails the commit with its path", async () => {
  const entry =
    "<pinned-certificate><name>x</name><certificate>no</certificate></pinned-certificate>";
  await driver.edit("a", tls(entry));
  const { error } = await driver.call("a", "commit");
  expect(error?.["path"]).toContain("pinned-certificate");
  expect(error?.["message"]).toContain("no X.509 certificate");
  await driver.call("a", "discard_changes");
});

test("RESTCONF takes the same certificate in place of a password", async () => {
  const rest = await findFreePort();
  await commit(
    `<restconf xmlns="urn:flowlift:restconf"><enabled>true</enabled><address>127.0.0.1</address><port>${rest}</port></restconf>`,
  );
  const curl = (...who: string[]): Promise<string> =>
    runProgram("curl", [
      ...["-sk", "--max-time", "10", "-w", " [%{http_code}]", ...who],
      `https://127.0.0.1:${rest}/restconf/data/flowlift-tls:netconf-tls/port`,
    ]);
  const as = (name: string): string[] => ["--cert", at(`${name}.crt`), "--key", at(`${name}.key`)];
  expect(await curl(...as("stranger"))).toContain(`${port}`);
  expect(await curl(...as("old"))).toContain("[401]");
  expect(await curl()).toContain("[401]");
});

const called = (name: string, transport: string, ports: readonly number[], more = ""): string => {
  const endpoints = ports.map(
    (remote, index) =>
      `<endpoint><name>e${index}</name><remote-address>127.0.0.1</remote-address>` +
      `<remote-port>${remote}</remote-port></endpoint>`,
  );
  return (
    `<call-home xmlns="urn:flowlift:call-home"><client><name>${name}</name>` +
    `<transport>${transport}</transport><endpoints>${endpoints.join("")}</endpoints>${more}` +
    "<reconnect-strategy><max-attempts>1</max-attempts><max-back-off>1</max-back-off>" +
    "</reconnect-strategy></client></call-home>"
  );
};
const CALLS = '<call-home xmlns="urn:flowlift:call-home"><state/></call-home>';

test("ncclient is called over SSH at the second endpoint, and the third when it has hung up", async () => {
  const [dead, home, last] = [await findFreePort(), await findFreePort(), await findFreePort()];
  const greeting = new Promise<string>((resolve) => {
    const server = createServer((socket) => {
      socket.on("error", () => {}).once("data", (chunk) => resolve(chunk.toString()));
      server.close();
    });
    server.listen(last, "127.0.0.1");
  });
  const waiting = fixture.driver();
  const connect = { port: home, username: USER, key: fixture.keyFile, called: true };
  const first = waiting.send({ session: "h", connect });
  await commit(called("nms", "ssh", [dead, home, last]));
  expect((await first).sessionId).toBeGreaterThan(0);
  expect((await waiting.call("h", "get_config", { source: "running" })).xml).toContain("nms");
  const state = await stateOf(CALLS);
  expect(state).toContain("<status>connected</status><endpoint>e1</endpoint>");
  await waiting.call("h", "close_session");
  expect(await greeting).toContain("SSH-2.0-flowlift");
});

async function waitForCall(what: string, transport: string): Promise<string> {
  const home = await findFreePort();
  const script = join(import.meta.dirname, "clients", "called_client.py");
  const server = at(what === "restconf" ? "restconf.crt" : "server.crt");
  const who = [server, at("stranger.crt"), at("stranger.key")];
  const child = spawn(PYTHON, [script, String(home), ...who, what]);
  children.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const ended = new Promise((resolve) => child.once("close", resolve));
  await waitFor(() => output.includes("READY"), "the client listens");
  await commit(called(`by-${transport}`, transport, [home]));
  await ended;
  return output;
}

test("clients that know the server's certificate are called over TLS, for NETCONF and RESTCONF", async () => {
  expect(await waitForCall("netconf", "tls")).toMatch(
    new RegExp(`<hello.*ncm:netconf-tls<.*<username>${USER}<`, "s"),
  );
  writeFileSync(at("restconf.crt"), readFileSync(join(fixture.stateDirectory, "restconf.crt")));
  expect(await waitForCall("restconf", "restconf")).toMatch(/HTTP\/1\.1 200 .*2019-01-04/s);
});

test("a periodic call ends when it is idle and comes again; without configuration nobody calls", async () => {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => sockets.push(socket.resume()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const home = typeof address === "object" ? (address?.port ?? 0) : 0;
  const periodic =
    "<connection-type><periodic><period>1</period><idle-timeout>1</idle-timeout></periodic></connection-type>";
  await commit(called("now-and-then", "ssh", [home], periodic));
  await waitFor(() => sockets.length === 2, "it is called a second time");
  expect(sockets[0]?.destroyed).toBe(true);
  await commit('<call-home xmlns="urn:flowlift:call-home" nc:operation="remove"/>');
  await waitFor(() => sockets.every(({ destroyed }) => destroyed), "the connection ends");
  server.close();
  expect(await stateOf(CALLS)).not.toContain("<client>");
});

test("it is there again after a restart, and gone when it is disabled", async () => {
  await fixture.stop("SIGKILL");
  await fixture.start();
  await fixture.applied();
  await fixture.connect(driver, "a");
  const messages = [hello("1.0"), rpc("<close-session/>")];
  expect(await sClient("alice", messages)).toContain("<ok/>");
  await commit(tls("", false));
  expect(await sClient("alice", messages)).toBe("");
});
