import type { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findProjectRoot } from "../../../src/lib/base/project-root.ts";
import type { IpAddress } from "../../../src/lib/inet/address.ts";
import {
  type CertToNameRule,
  formatFingerprint,
  listAlternativeNames,
  mapCertificate,
  NAME_CHARACTERS_MAX,
} from "../../../src/management/tls/cert-to-name.ts";
import {
  CHAIN_LENGTH_MAX,
  type ClientTrust,
  judgeCertificate,
  NO_TRUST,
  type ShownCertificates,
} from "../../../src/management/tls/client-certificates.ts";
import {
  CERTIFICATE_CHARACTERS_MAX,
  parseCertificate,
  parseTlsConfig,
} from "../../../src/management/tls/tls-config.ts";
import { issue } from "./certificates.ts";

const authority = issue("authority", "Good");
const stranger = issue("authority", "Good"); // The same name, another key.
const names = [
  { kind: "uri" as const, uri: "urn:x:y" },
  { kind: "dns" as const, name: "Host.Example" },
  { kind: "ip" as const, address: "2001:db8::a" as IpAddress },
];
const alice = issue("client", "alice", { by: authority, names });
const mallory = issue("client", "alice", { by: stranger });

const fingerprintOf = (one: typeof alice, hash = "04"): string =>
  formatFingerprint(one.certificate, hash) ?? "";
const rule = (
  mapType: CertToNameRule["mapType"],
  more: Partial<CertToNameRule> = {},
): CertToNameRule => ({ id: 1, fingerprint: fingerprintOf(alice), mapType, ...more });
const map = (...rules: CertToNameRule[]): string | undefined =>
  mapCertificate(alice.certificate, [authority.certificate], rules)?.username;

describe("mapCertificate()", () => {
  test.each([
    ["common-name", "alice"],
    ["san-dns-name", "host.example"],
    ["san-ip-address", "20010db800000000000000000000000a"],
    ["san-any", "host.example"],
    ["san-rfc822-name", undefined],
  ] as const)("%s gives %s", (mapType, name) => {
    expect(map(rule(mapType))).toBe(name);
  });

  test("a rule holds for the certificate or for its authority, by any good hash in any case", () => {
    for (const fingerprint of [
      fingerprintOf(alice, "05"),
      fingerprintOf(alice, "06").toUpperCase(),
      fingerprintOf(authority),
    ]) {
      expect(map(rule("common-name", { fingerprint }))).toBe("alice");
    }
    for (const one of [stranger, mallory]) {
      expect(map(rule("common-name", { fingerprint: fingerprintOf(one) }))).toBeUndefined();
    }
  });

  test("the lowest id that gives a name wins", () => {
    const third = rule("specified", { id: 3, name: "third" });
    const second = rule("specified", { id: 2, name: "second" });
    expect(map(third, second, rule("san-rfc822-name"))).toBe("second");
  });

  test("a name is bounded and printable", () => {
    const named = (name: string): string | undefined => map(rule("specified", { name }));
    for (const count of [NAME_CHARACTERS_MAX - 1, NAME_CHARACTERS_MAX]) {
      expect(named("x".repeat(count))).toHaveLength(count);
    }
    const bad = ["x".repeat(NAME_CHARACTERS_MAX + 1), "", "a\nb", "a\u0000", "a\u2028b"];
    for (const name of bad) expect(named(name)).toBeUndefined();
  });
});

describe("listAlternativeNames()", () => {
  test.each([
    ["email:A.B@Example.ORG, DNS:X.y", ["A.B@example.org", "x.y"]],
    ['DNS:"a, DNS:admin", IP Address:192.0.2.1', ["a, dns:admin", "192.0.2.1"]],
    ["URI:http://x/, othername:<unsupported>, DNS:z", ["z"]],
    ["IP Address:2001:DB8:0:0:0:0:0:1", ["20010db8000000000000000000000001"]],
    ["email:nobody", []],
    ['DNS:"broken', []],
    ["DNS:good, nonsense", []],
    ["", []],
  ])("%s", (text, expected) => {
    expect(listAlternativeNames(text).map(({ name }) => name)).toEqual(expected);
  });
});

describe("judgeCertificate()", () => {
  const now = new Date();
  const rules = [rule("common-name", { fingerprint: fingerprintOf(authority) })];
  const trust: ClientTrust = { ...NO_TRUST, authorities: [authority.certificate], rules };
  const shown = (one: typeof alice, more: Partial<ShownCertificates> = {}): ShownCertificates => ({
    ...{ leaf: one.certificate, others: [], isVerified: true },
    ...more,
  });
  const judge = (what: ShownCertificates, by = trust, when = now, reserved = "root"): string => {
    const judged = judgeCertificate(what, by, when, (name) => name === reserved);
    return judged.ok ? judged.value : judged.error.kind;
  };

  test("an authority that is trusted is believed, when OpenSSL agrees", () => {
    expect(judge(shown(alice))).toBe("alice");
    expect(judge(shown(alice, { isVerified: false }))).toBe("unknown-certificate");
    expect(judge(shown(alice, { leaf: undefined }))).toBe("no-certificate");
  });

  test("certificates that are sent along prove nothing, whatever their names", () => {
    const others = [authority.certificate];
    expect(judge(shown(mallory, { others }))).toBe("unknown-certificate");
  });

  test("an authority between is followed by its signature, to the rule of the trusted one", () => {
    const between = issue("authority", "Between", { by: authority });
    const bob = issue("client", "bob", { by: between });
    expect(judge(shown(bob, { others: [between.certificate] }))).toBe("bob");
    expect(judge(shown(bob))).toBe("unknown-certificate");
  });

  test("a chain is followed over so many certificates, and no more", () => {
    for (const [between, expected] of [
      [CHAIN_LENGTH_MAX - 2, "deep"],
      [CHAIN_LENGTH_MAX - 1, "deep"],
      [CHAIN_LENGTH_MAX, "unknown-certificate"],
    ] as const) {
      const others: X509Certificate[] = [];
      let issuer = authority;
      for (let count = 0; count < between; count++) {
        issuer = issue("authority", `Between ${count}`, { by: issuer });
        others.push(issuer.certificate);
      }
      expect(judge(shown(issue("client", "deep", { by: issuer }), { others }))).toBe(expected);
    }
  });

  test("a pinned certificate needs no authority, but its own rule and its time", () => {
    const pinned = {
      ...NO_TRUST,
      pinned: [mallory.certificate],
      rules: [rule("common-name", { fingerprint: fingerprintOf(mallory) })],
    };
    const what = shown(mallory, { isVerified: false });
    expect(judge(what, pinned)).toBe("alice");
    expect(judge(what, { ...pinned, rules: [] })).toBe("no-user");
    const later = new Date(now.getTime() + 2 * 24 * 3600 * 1000);
    expect(judge(what, pinned, later)).toBe("not-valid-now");
  });

  test("a certificate cannot call itself a recovery user, but a rule may", () => {
    expect(judge(shown(alice), trust, now, "alice")).toBe("reserved");
    const specified = { ...trust, rules: [rule("specified", { name: "alice" })] };
    expect(judge(shown(alice), specified, now, "alice")).toBe("alice");
  });
});

describe("parseTlsConfig()", () => {
  const pem = authority.certificate.toString();
  const bare = authority.certificate.raw.toString("base64");
  const config = (list: string, certificate: string) => ({
    "flowlift-tls:netconf-tls": {
      enabled: true,
      "client-authentication": { [list]: [{ name: "one", certificate }] },
    },
  });

  test("takes PEM and base64, with any white space", () => {
    for (const text of [pem, ` ${pem}\n`, bare, bare.replace(/.{64}/g, "$&\n  ")]) {
      expect(parseCertificate(text)?.raw).toEqual(authority.certificate.raw);
    }
    for (const text of ["", "AAAA", "no", pem.slice(0, 200)]) {
      expect(parseCertificate(text)).toBeUndefined();
    }
  });

  test("a certificate's text is bounded, here as in the YANG module", () => {
    for (const [characters, isTaken] of [
      [CERTIFICATE_CHARACTERS_MAX - 1, true],
      [CERTIFICATE_CHARACTERS_MAX, true],
      [CERTIFICATE_CHARACTERS_MAX + 1, false],
    ] as const) {
      expect(parseCertificate(bare.padEnd(characters)) !== undefined).toBe(isTaken);
    }
    const yang = readFileSync(join(findProjectRoot(), "yang/flowlift-tls.yang"), "utf8");
    expect(yang).toContain(`length "1..${CERTIFICATE_CHARACTERS_MAX}"`);
  });

  test("names the leaf that is no certificate, or not one of an authority", () => {
    const path = (list: string): string =>
      `/flowlift-tls:netconf-tls/client-authentication/${list}[name='one']/certificate`;
    expect(parseTlsConfig(config("pinned-certificate", "AAAA"))).toMatchObject({
      error: { path: path("pinned-certificate") },
    });
    const leaf = alice.certificate.toString();
    expect(parseTlsConfig(config("trusted-authority", leaf))).toMatchObject({
      error: { path: path("trusted-authority") },
    });
    expect(parseTlsConfig(config("trusted-authority", pem))).toMatchObject({
      value: { place: { address: "::", port: 6513 } },
    });
    expect(parseTlsConfig({})).toMatchObject({ value: { place: undefined } });
  });
});
