import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ControllerSite, configWithNeighbours } from "../controller/controller-process.ts";
import { connectBridge, VmClient } from "../controller/vm-client.ts";
import { asBlue, EPOCH, natFlow } from "../controller/world.ts";

const RED = { tenant: "red", vm: "gateway" };
const BLUE = { tenant: "blue", vm: "gateway" };

let site: ControllerSite | undefined;
const clients: VmClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await site?.dispose();
  site = undefined;
});

async function open(
  address: string | undefined,
  host = "host-1",
  stamp: typeof RED = RED,
): Promise<VmClient> {
  if (site === undefined || address === undefined) throw new Error("a site runs");
  const client = new VmClient(connectBridge(address, site.bridgeTls(host), stamp));
  clients.push(client);
  await client.until(() => client.isOpen || client.ended !== undefined);
  return client;
}

describe("the controller process", () => {
  test("offloads a flow, tells it active, lists it, and withdraws it with final counters", async () => {
    site = new ControllerSite();
    const running = await site.start();
    const vm = await open(running.ready["grpc"]);
    await vm.until(() => vm.credit !== undefined);
    expect(vm.credit).toBe(65_536);

    const granted = await vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(1n)] });
    expect(granted).toEqual({
      kind: "request-offload",
      results: [{ flowId: 1n, outcome: "granted-pending", effectiveIdleTimeoutMs: 60_000 }],
    });
    await vm.until(() => vm.events.length === 1);
    expect(vm.events[0]).toMatchObject({ flowId: 1n, what: { kind: "activated" } });
    await vm.until(() => vm.credit === 65_535);

    const held = await vm.call({ kind: "get-flows", limit: 10 });
    expect(held).toMatchObject({ more: false, flows: [{ state: "active", flow: natFlow(1n) }] });

    const flows = (await (await site.admin(running, "/flows")).json()) as { total: number };
    expect(flows).toMatchObject({
      total: 1,
      flows: [{ tenant: "red", vm: "gateway", host: "host-1", state: "active", flowId: "1" }],
    });

    const withdrawn = await vm.call({
      kind: "withdraw-offload",
      epoch: EPOCH,
      selection: { kind: "all" },
    });
    expect(withdrawn).toMatchObject({ results: [{ flowId: 1n, outcome: "closed" }] });
    await vm.until(() => vm.events.length === 2);
    expect(vm.events[1]).toMatchObject({ what: { kind: "closed", cause: "withdrawn" } });
    expect(vm.decodeFailures).toEqual([]);

    const metrics = await (await site.admin(running, "/metrics")).text();
    expect(metrics).toContain("flowlift_time_to_active_seconds_count 1");
    expect(metrics).toContain('flowlift_flows{tenant="red",vm="gateway",state="active"} 0');
    running.child.kill("SIGTERM");
    expect(await running.exited).toBe(0);
  });

  test("refuses and audits a stamp for a virtual machine that is not on the bridge's host", async () => {
    site = new ControllerSite();
    const running = await site.start();
    const stranger = await open(running.ready["grpc"], "host-2", RED);
    expect(stranger.isOpen).toBe(false);
    expect(stranger.ended).toContain("PERMISSION_DENIED");
    const nobody = await open(running.ready["grpc"], "host-1", { tenant: "red", vm: "nobody" });
    expect(nobody.isOpen).toBe(false);
    const control = await open(running.ready["grpc"], "host-1", RED);
    expect(control.isOpen).toBe(true);
    const audit = (await (await site.admin(running, "/audit")).json()) as {
      entries: Record<string, unknown>[];
    };
    expect(audit.entries).toMatchObject([
      { what: "stamp-refused", reason: "vm-not-on-host", host: "host-2", tenant: "red" },
      { what: "stamp-refused", reason: "vm-not-on-host", host: "host-1", vm: "nobody" },
    ]);
  });

  test("lets nobody in without a certificate of its authority", async () => {
    site = new ControllerSite();
    const running = await site.start();
    const other = new ControllerSite();
    const foreign = { ...other.bridgeTls("host-1"), authority: site.bridgeTls("host-1").authority };
    await other.dispose();
    const vm = new VmClient(connectBridge(running.ready["grpc"] ?? "", foreign, RED));
    clients.push(vm);
    await vm.until(() => vm.ended !== undefined);
    expect(vm.isOpen).toBe(false);
  });

  test("refuses another tenant's flow in every message, and grants it to its rightful owner", async () => {
    site = new ControllerSite();
    const running = await site.start();
    const red = await open(running.ready["grpc"], "host-1", RED);
    const blue = await open(running.ready["grpc"], "host-1", BLUE);
    const flow = asBlue(natFlow(9n));
    const wrong = await red.call({ kind: "request-offload", epoch: EPOCH, flows: [flow] });
    expect(wrong).toMatchObject({ results: [{ outcome: "refused", reason: "vnic-not-yours" }] });
    const right = await blue.call({ kind: "request-offload", epoch: EPOCH, flows: [flow] });
    expect(right).toMatchObject({ results: [{ outcome: "granted-pending" }] });
    const theft = await red.call({
      kind: "withdraw-offload",
      epoch: EPOCH,
      selection: { kind: "flow-ids", flowIds: [9n] },
    });
    expect(theft).toMatchObject({ results: [{ flowId: 9n, outcome: "no-such-flow" }] });
    expect(await red.call({ kind: "get-flows", limit: 10 })).toMatchObject({ flows: [] });
    expect(await blue.call({ kind: "get-flows", limit: 10 })).toMatchObject({ flows: [{}] });
  });

  test("answers a message that breaks the model with an rpc-error, and goes on", async () => {
    site = new ControllerSite();
    const running = await site.start();
    const vm = await open(running.ready["grpc"]);
    const text = (body: string): string =>
      `<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="x">${body}</rpc>`;
    const ns = 'xmlns="urn:flowlift:offload"';
    const named = await vm.callText(
      "x",
      "renew-lease",
      text(`<renew-lease ${ns}><epoch>${EPOCH}</epoch><tenant>blue</tenant></renew-lease>`),
    );
    expect(named).toMatchObject({ kind: "error", errors: [{ tag: "unknown-element" }] });
    const bad = await vm.callText(
      "x",
      "renew-lease",
      text(`<renew-lease ${ns}><epoch>red</epoch></renew-lease>`),
    );
    expect(bad).toMatchObject({ kind: "error", errors: [{ tag: "invalid-value" }] });
    const renewed = await vm.call({ kind: "renew-lease", epoch: EPOCH });
    expect(renewed).toEqual({ kind: "renew-lease", leaseMs: 30_000 });
  });

  test("a reload withdraws what is not entitled any more; a bad file changes nothing", async () => {
    site = new ControllerSite();
    const running = await site.start();
    const vm = await open(running.ready["grpc"]);
    await vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(1n)] });
    await vm.until(() => vm.events.length === 1);

    const config = JSON.parse(JSON.stringify(configWithNeighbours())) as {
      "flowlift-controller:controller": { tenant: { "external-pool": { prefix: string }[] }[] };
    };
    site.writeConfig({ nonsense: true });
    const refused = await site.admin(running, "/reload", { method: "POST" });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ reloaded: false });
    running.child.kill("SIGHUP");
    await expect.poll(running.stderr).toContain("the configuration stays as it was");
    await vm.call({ kind: "renew-lease", epoch: EPOCH });
    expect(vm.events.length).toBe(1);

    const pool = config["flowlift-controller:controller"].tenant[0]?.["external-pool"][0];
    if (pool === undefined) throw new Error("red has a pool");
    pool.prefix = "203.0.113.8/29";
    site.writeConfig(config);
    running.child.kill("SIGHUP");
    await vm.until(() => vm.events.length === 2);
    expect(vm.events[1]).toMatchObject({
      what: { kind: "closed", cause: "not-entitled-any-more" },
    });
    const again = await vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(2n)] });
    expect(again).toMatchObject({ results: [{ reason: "address-not-entitled" }] });
  });

  test("keeps its token to itself and asks for it", async () => {
    site = new ControllerSite();
    const running = await site.start();
    const mode = statSync(join(site.directory, "token")).mode & 0o777;
    expect(mode).toBe(0o600);
    expect(readFileSync(join(site.directory, "token"), "utf8").trim()).toHaveLength(64);
    const naked = await fetch(`${running.ready["admin"]}/flows`);
    expect(naked.status).toBe(401);
    expect((await site.admin(running, "/flows")).status).toBe(200);
  });
});
