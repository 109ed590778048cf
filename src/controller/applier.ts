/**
 * Applies what operators configure by NETCONF to the running controller.
 *
 * Effect: changes the controller's model, writes its numbers. The first configuration starts the controller.
 * Limit: a commit waits REMOVAL_DEADLINE_MS for the fast path to let go of what was removed.
 */
import { assert } from "../lib/base/assert.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import type { ConfigData, ConfigProblem } from "../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../management/applier.ts";
import type { Controller } from "./controller.ts";
import { describeState } from "./controller-state.ts";
import type { IdRegistry } from "./id-registry.ts";
import { type ControllerModel, parseModel } from "./model.ts";
import type { PlacementBoard } from "./placement-board.ts";
import { reclaimIds } from "./reclaim-ids.ts";

/** After that the reply names what is still being withdrawn. */
export const REMOVAL_DEADLINE_MS = 3_000;

export interface ControllerApplierOptions {
  readonly ids: IdRegistry;
  readonly board: PlacementBoard;
  readonly startController: (model: ControllerModel) => Promise<Controller>;
  readonly writeIds: (ids: IdRegistry) => void;
  readonly nowMs: () => number;
}

interface Prepared {
  readonly transactionId: string;
  readonly model: ControllerModel;
  readonly ids: IdRegistry;
}

/** The controller as its datastores see it. */
export class ControllerApplier implements Applier {
  readonly #options: ControllerApplierOptions;
  #ids: IdRegistry;
  #controller: Controller | undefined;
  #prepared: Prepared | undefined;
  /** What was in force before the last commit, to be put back by `abort`. */
  #before: { readonly transactionId: string; readonly model: ControllerModel } | undefined;

  constructor(options: ControllerApplierOptions) {
    this.#options = options;
    this.#ids = options.ids;
  }

  /** Undefined until the first configuration was applied. */
  get controller(): Controller | undefined {
    return this.#controller;
  }

  async prepare(
    transactionId: string,
    config: ConfigData,
  ): Promise<Result<undefined, ConfigProblem>> {
    const ids = this.#ids.clone(); // A configuration that is not taken must not use up numbers.
    const model = parseModel(config, ids);
    if (!model.ok)
      return err({ kind: "config-not-applicable", path: "", message: model.error.message });
    this.#prepared = { transactionId, model: model.value, ids };
    return ok(undefined);
  }

  async commit(transactionId: string): Promise<ApplyOutcome> {
    const prepared = this.#prepared;
    assert(prepared?.transactionId === transactionId, "a commit follows its prepare");
    this.#prepared = undefined;
    this.#ids = prepared.ids;
    this.#options.writeIds(this.#ids); // Before anything carries a new number.
    const controller = this.#controller;
    if (controller === undefined) {
      this.#controller = await this.#options.startController(prepared.model);
      this.#options.board.publish(prepared.model);
    } else {
      this.#before = { transactionId, model: controller.model };
      await this.#replace(controller, prepared.model);
    }
    return { late: this.#listLate() };
  }

  async abort(transactionId: string): Promise<void> {
    if (this.#prepared?.transactionId === transactionId) this.#prepared = undefined;
    const before = this.#before;
    if (before?.transactionId !== transactionId || this.#controller === undefined) return;
    this.#before = undefined;
    await this.#replace(this.#controller, before.model);
  }

  get board(): PlacementBoard {
    return this.#options.board;
  }

  async getState(): Promise<ConfigData> {
    if (this.#controller === undefined) return {};
    return describeState(this.#controller, this.#options.board, this.#options.nowMs());
  }

  async #replace(controller: Controller, model: ControllerModel): Promise<void> {
    await controller.replaceModel(model);
    this.#options.board.publish(model);
    controller.ledger.writeAudit({ what: "configuration-replaced" });
    await controller.departures.wait(REMOVAL_DEADLINE_MS);
    const hosts = controller.listHosts().map(({ core, driver }) => ({
      name: driver.host.name,
      core,
      isConnected: driver.isConnected,
    }));
    if (reclaimIds(this.#ids, model, hosts) > 0) this.#options.writeIds(this.#ids);
  }

  #listLate(): readonly string[] {
    const leaving = this.#controller?.departures.list() ?? [];
    return leaving.map(({ vmKey, flows }) => `${vmKey}: ${flows} flows are still being withdrawn`);
  }
}
