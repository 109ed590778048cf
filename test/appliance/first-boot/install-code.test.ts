import { expect, test } from "vitest";
import { formatBanner } from "../../../src/appliance/first-boot/banner.ts";
import {
  CODE_TRIES_MAX,
  drawInstallCode,
  InstallCode,
  TRY_INTERVAL_MS,
} from "../../../src/appliance/first-boot/install-code.ts";

test("a code has eight characters that are not read as others", () => {
  let byte = 0;
  const code = drawInstallCode(() => byte++ % 256);
  expect(code).toMatch(/^[2-9A-HJKMNP-TV-Z]{4}-[2-9A-HJKMNP-TV-Z]{4}$/);
  expect(code).toBe("2345-6789");
});

test("bytes that would favour some characters are drawn again", () => {
  const bytes = [240, 255, 239, 0, 0, 0, 0, 0, 0, 0];
  expect(drawInstallCode(() => bytes.shift() ?? 0)).toBe("Z222-2222");
});

test("the right code is accepted once, in either case of letters", () => {
  const code = new InstallCode("ABCD-2345");
  expect(code.check(" abcd-2345 ", 0)).toBe("accepted");
  expect(code.check("ABCD-2345", 10 * TRY_INTERVAL_MS)).toBe("used-up");
});

test("a try less than a second after another one is not judged", () => {
  const code = new InstallCode("ABCD-2345");
  expect(code.check("WRNG-2345", 0)).toBe("wrong");
  expect(code.check("ABCD-2345", TRY_INTERVAL_MS - 1)).toBe("too-soon");
  expect(code.check("ABCD-2345", TRY_INTERVAL_MS)).toBe("accepted");
});

test.each([
  [CODE_TRIES_MAX - 1, "accepted"],
  [CODE_TRIES_MAX, "used-up"],
])("after %i wrong tries the right code is %s", (wrong, verdict) => {
  const code = new InstallCode("ABCD-2345");
  for (let index = 0; index < wrong; index++) {
    expect(code.check("WRNG-2345", index * TRY_INTERVAL_MS)).toBe("wrong");
  }
  expect(code.check("ABCD-2345", wrong * TRY_INTERVAL_MS)).toBe(verdict);
});

const FACTS = {
  version: "1.2.3",
  hostname: "edge",
  addresses: [{ interface: "outside", address: "192.0.2.1" }],
  netconfPort: 830,
  users: ["admin"],
  hostKeyFingerprint: "SHA256:abc",
  keyCount: 0,
  installCode: "ABCD-2345",
  problems: [],
};

test("the banner shows version, addresses, host key and the line that installs the first key", () => {
  const banner = formatBanner(FACTS);
  for (const text of [
    "Flowlift 1.2.3  edge",
    "192.0.2.1 (outside)",
    "SHA256:abc",
    "./flowlift connect TENANT/NAME --install-key ~/.ssh/id_ed25519.pub --code ABCD-2345",
  ]) {
    expect(banner).toContain(text);
  }
});

test("with a key the banner shows no code", () => {
  expect(formatBanner({ ...FACTS, keyCount: 1, installCode: undefined })).not.toContain("--code");
});

test("what a document says cannot move the console's cursor", () => {
  const banner = formatBanner({ ...FACTS, problems: ["user-data: \u001b[2J\u0007 bad\nline"] });
  expect(banner).toMatch(/^[\x20-\x7e\n]*$/);
  expect(banner).toContain("user-data: ?[2J? bad?line");
});
