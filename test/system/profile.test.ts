/** A profile has its functions and no others. */
import { afterAll, expect, test } from "vitest";
import { ManageFixture } from "./netconf-fixture.ts";

const fixture = new ManageFixture();
afterAll(() => fixture.dispose());

const NAT =
  '<nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat"><instances><instance><id>1</id></instance></instances></nat>';
const BALANCER =
  '<load-balancer xmlns="urn:flowlift:load-balancer"><virtual-service><name>a</name>' +
  "<vip>192.0.2.1</vip><port>80</port></virtual-service></load-balancer>";
const ZONES = '<zones xmlns="urn:flowlift:zones"><zone><name>in</name></zone></zones>';

test.each([
  ["nat", [true, false, true]],
  ["lb", [false, true, true]],
  ["firewall", [false, false, true]],
  ["all", [true, true, true]],
])("%s", async (profile, takes) => {
  await fixture.data.start();
  await fixture.start({ settings: { profile } });
  const driver = fixture.driver();
  await fixture.connect(driver, "a");
  const taken: boolean[] = [];
  for (const config of [NAT, BALANCER, ZONES]) {
    const { error } = await driver.edit("a", config);
    if (error !== undefined) expect(error["tag"]).toBe("unknown-namespace");
    taken.push(error === undefined);
  }
  expect(taken).toEqual(takes);
  driver.close();
  await fixture.stop();
  fixture.data.stop();
});

test("a profile that is none is refused with the names of all", async () => {
  await expect(fixture.start({ settings: { profile: "router" } })).rejects.toThrow(
    '"profile" is one of nat, lb, firewall, all',
  );
});
