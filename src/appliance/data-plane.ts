/**
 * The data plane of one appliance: the ruleset in the kernel and the flows that live under it.
 *
 * Effect: nft transactions, kernel settings, conntrack, the offload engine. One commit at a time.
 * Invariant: the kernel's ruleset is always that of `#current`, or of a table that an earlier process left.
 * Limit: PREPARED_MAX transactions wait for their commit.
 */
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import { ConntrackTable } from "../lib/conntrack/table.ts";
import { NftApplyError } from "../lib/nft/errors.ts";
import { type Nft, openNft } from "../lib/nft/libnftables.ts";
import type { Ruleset } from "../lib/nft/nodes.ts";
import { NftTable } from "../lib/nft/transaction.ts";
import type {
  ConfigData,
  ConfigProblem,
  JudgeFlow,
  ServiceContext,
} from "../lib/service/provider.ts";
import { planTimeouts } from "../nat/timeouts.ts";
import { EMPTY_NETWORK, type NetworkConfig } from "../network/config.ts";
import type { OffloadHandle } from "../offload/handle.ts";
import { startOffload } from "../offload/shell.ts";
import { type ApplianceConfig, compileAppliance, parseApplianceConfig } from "./data-config.ts";
import { cutForbiddenFlows } from "./data-cut.ts";
import { presentInterfaces } from "./data-interfaces.ts";
import { applyTimeouts, applyTrackingSettings, enableForwarding } from "./data-kernel-settings.ts";
import { recallConfig, rememberConfig } from "./data-memory.ts";
import { DataNetwork } from "./data-network.ts";
import { type CommitPreview, compareRulesets, countForbidden } from "./data-preview.ts";
import { readState } from "./data-state.ts";
import { createJudge, judgesAlike } from "./policy.ts";
import { APPLIANCE_TABLE, closedRuleset } from "./ruleset.ts";
import { type ApplianceSettings, type CommitOutcome, REVOCATION_DEADLINE_MS } from "./settings.ts";

export const PREPARED_MAX = 4;

/** A configuration and what it means. */
interface Plan {
  readonly data: ConfigData;
  readonly network: NetworkConfig;
  readonly config: ApplianceConfig;
  readonly ruleset: Ruleset;
}

const NOTHING: ConfigData = {};
const NOTHING_CUT: CommitOutcome = { cutFlows: 0, cutOffloadedFlows: 0, late: [] };

export class DataPlane {
  readonly #settings: ApplianceSettings;
  readonly #log: Log;
  readonly #nft: Nft = openNft();
  readonly #table: NftTable = new NftTable(this.#nft, APPLIANCE_TABLE);
  readonly #conntrack: ConntrackTable = new ConntrackTable();
  readonly #network: DataNetwork;
  readonly #startedAt: string = new Date().toISOString();
  readonly #prepared = new Map<string, Plan>();
  #offload: OffloadHandle | undefined;
  #current: Plan | undefined;
  #last: { readonly transactionId: string; readonly previous: Plan | undefined } | undefined;
  /** Every live flow is as this configuration wants it; undefined: that is not known. */
  #settled: ApplianceConfig | undefined;
  #policyEpoch = 0n;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(settings: ApplianceSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#network = new DataNetwork({
      names: settings.interfaces,
      log,
      onChange: (present) => this.#offload?.setInterfaces(present),
    });
  }

  /** Adopts what stands in the kernel, or closes it; then forwards, and follows flows. */
  async start(): Promise<void> {
    await this.#network.start();
    await this.#adopt();
    applyTrackingSettings();
    // Before the engine starts: it keeps entries alive by these timeouts.
    applyTimeouts(planTimeouts(this.#current?.config.nat ?? { instances: [] }));
    enableForwarding();
    await this.#startOffload();
  }

  /**
   * Compiles a configuration; nothing changes. `asksKernel`: it says now what it would refuse, which costs a
   * grace period; otherwise commit says the same, before it has changed anything.
   */
  async prepare(
    transactionId: string,
    data: ConfigData,
    asksKernel: boolean,
  ): Promise<Result<undefined, ConfigProblem>> {
    const plan = await this.#plan(data);
    if (!plan.ok) return plan;
    const refusal = asksKernel ? await this.#askKernel(plan.value) : undefined;
    if (refusal !== undefined) return err(refusal);
    const [oldest] = this.#prepared.keys();
    if (this.#prepared.size >= PREPARED_MAX && oldest !== undefined) this.#prepared.delete(oldest);
    this.#prepared.set(transactionId, plan.value);
    return ok(undefined);
  }

  async #askKernel(plan: Plan): Promise<ConfigProblem | undefined> {
    try {
      await this.#table.check(plan.ruleset);
      return undefined;
    } catch (error) {
      if (!(error instanceof NftApplyError)) throw error;
      return { kind: "config-not-applicable", path: "", message: error.message };
    }
  }

  /** Tells what a commit of this configuration would do. */
  async preview(data: ConfigData): Promise<Result<CommitPreview, ConfigProblem>> {
    const plan = await this.#plan(data);
    if (!plan.ok) return plan;
    const ruleset = compareRulesets(APPLIANCE_TABLE, this.#current?.ruleset, plan.value.ruleset);
    const judge = createJudge(plan.value.config);
    const { interfaces } = this.#network;
    const flows = await countForbidden(this.#conntrack, judge, interfaces, this.#offload);
    return ok({ ruleset, ...flows });
  }

  /** Applies a prepared configuration. Throws NftApplyError; then the old one goes on. */
  commit(transactionId: string): Promise<CommitOutcome | undefined> {
    return this.#alone(async () => {
      const plan = this.#prepared.get(transactionId);
      if (plan === undefined) return undefined;
      this.#prepared.delete(transactionId);
      const previous = this.#current;
      const outcome = await this.#apply(plan);
      this.#last = { transactionId, previous };
      return outcome;
    });
  }

  /** Forgets a prepared configuration; the last committed one is taken back. */
  abort(transactionId: string): Promise<void> {
    return this.#alone(async () => {
      this.#prepared.delete(transactionId);
      if (this.#last?.transactionId !== transactionId) return;
      const { previous } = this.#last;
      this.#last = undefined;
      const plan = previous ?? (await this.#emptyPlan());
      if (plan !== undefined) await this.#apply(plan);
    });
  }

  /** Returns operational data. */
  async readState(): Promise<ConfigData> {
    const services = await readState({
      config: this.#current?.config,
      table: this.#table,
      conntrack: this.#conntrack,
      offload: this.#offload?.getState(),
      discontinuityTime: this.#startedAt,
    });
    return { ...services, ...(await this.#network.readState()) };
  }

  /** Makes interfaces, addresses and routes what was committed last; returns what was changed. */
  repairNetwork(): Promise<string[]> {
    return this.#alone(() => this.#network.repair());
  }

  /** Leaves the kernel as it is. */
  async stop(): Promise<void> {
    await this.#tail;
    await this.#offload?.stop();
    await this.#nft.close();
    this.#conntrack.close();
    this.#network.stop();
  }

  #context(): ServiceContext {
    const netconfPorts = this.#settings.netconf.listen.map((address) => address.port);
    return { interfaces: this.#network.interfaces, netconfPorts };
  }

  async #plan(data: ConfigData): Promise<Result<Plan, ConfigProblem>> {
    const network = await this.#network.plan(data);
    if (!network.ok) return network;
    const config = parseApplianceConfig(data, this.#context());
    if (!config.ok) return config;
    return ok({
      data,
      network: network.value,
      config: config.value,
      ruleset: compileAppliance(config.value, this.#context()),
    });
  }

  async #emptyPlan(): Promise<Plan | undefined> {
    const plan = await this.#plan(NOTHING);
    return plan.ok ? plan.value : undefined;
  }

  async #adopt(): Promise<void> {
    const { runDirectory, bootId } = this.#settings;
    const remembered = recallConfig(runDirectory, bootId);
    if (remembered !== undefined) this.#network.adopt(EMPTY_NETWORK, remembered.interfaces);
    const plan = remembered === undefined ? undefined : await this.#plan(remembered.config);
    if (remembered !== undefined && plan?.ok) {
      this.#network.adopt(plan.value.network, remembered.interfaces);
      await this.#table.apply(plan.value.ruleset);
      this.#current = plan.value;
      this.#policyEpoch = remembered.policyEpoch;
      this.#log.info("Adopted the ruleset of the last commit");
      return;
    }
    const { exists } = await this.#table.readInventory();
    if (exists) {
      this.#log.warn("Found a ruleset without its configuration; it stays until the next commit");
      return;
    }
    await this.#table.apply(closedRuleset());
    this.#log.info("No configuration yet: nothing is forwarded");
  }

  async #startOffload(): Promise<void> {
    const judge =
      this.#current === undefined ? DENY_ALL_OFFLOAD : createJudge(this.#current.config);
    const { offloadPort } = this.#settings;
    try {
      this.#offload = await startOffload({
        ...(offloadPort === undefined ? {} : { port: offloadPort }),
        judge,
        policyEpoch: this.#policyEpoch,
        interfaces: presentInterfaces(this.#network.interfaces),
        log: this.#log,
        clock: MONOTONIC_CLOCK,
      });
    } catch (error) {
      this.#log.warn("Offload is off: everything stays on the slow path", {
        reason: describeError(error),
      });
    }
  }

  async #apply(plan: Plan): Promise<CommitOutcome> {
    const takeBack = await this.#network.apply(plan.network);
    try {
      await this.#table.apply(plan.ruleset);
    } catch (error) {
      await takeBack();
      throw error;
    }
    this.#current = plan;
    const settled = this.#settled;
    this.#settled = undefined;
    if (settled !== undefined && judgesAlike(settled, plan.config)) {
      this.#afterApply(plan);
      this.#settled = plan.config;
      return NOTHING_CUT;
    }
    this.#policyEpoch += 1n;
    this.#afterApply(plan);
    const outcome = await this.#cutForbidden(createJudge(plan.config));
    if (outcome.late.length === 0) this.#settled = plan.config;
    return outcome;
  }

  async #cutForbidden(judge: JudgeFlow): Promise<CommitOutcome> {
    if (this.#offload !== undefined) {
      return this.#offload.applyPolicy(judge, this.#policyEpoch, REVOCATION_DEADLINE_MS);
    }
    const cutFlows = await cutForbiddenFlows(this.#conntrack, judge, this.#network.interfaces);
    return { ...NOTHING_CUT, cutFlows };
  }

  /** The kernel has the new ruleset: what fails from here on is told, and does not undo the commit. */
  #afterApply(plan: Plan): void {
    const { runDirectory, bootId } = this.#settings;
    try {
      applyTimeouts(planTimeouts(plan.config.nat));
      const { names: interfaces } = this.#network;
      const policyEpoch = this.#policyEpoch;
      rememberConfig(runDirectory, bootId, { config: plan.data, policyEpoch, interfaces });
    } catch (error) {
      this.#log.error("Committed, but not completely", { reason: describeError(error) });
    }
  }

  /** Runs `work` after everything that was asked before. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** Before the first commit nothing is forwarded, so nothing can be asked for. */
const DENY_ALL_OFFLOAD = () =>
  ({ allowed: true, service: "firewall", eligible: false, rules: [], policyTag: 0 }) as const;
