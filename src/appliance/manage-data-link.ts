/**
 * The management process's way to the data process, kept up as long as it lives.
 *
 * Effect: connects to the data process's socket, again and again with back-off. While there is no
 * connection a commit waits for one, and every other call fails at once with LOCAL_RPC_CLOSED. A call without answer ends the
 * connection: nobody knows then what the other side holds, and a new one starts by applying running.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { describeError, FlowliftError } from "../lib/base/errors.ts";
import { connectLocalRpc, type LocalRpcPeer } from "../lib/base/local-rpc.ts";
import type { Log } from "../lib/base/log.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import type { RpcError } from "../lib/netconf/rpc-error.ts";
import type { ConfigData, ConfigProblem } from "../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../management/applier.ts";
import { type Preview, previewFailed } from "../management/history-operations.ts";
import { type CommitOutcome, REVOCATION_DEADLINE_MS } from "./settings.ts";

export const RETRY_MS_MIN = 50;
export const RETRY_MS_MAX = 2_000;
/** Asking whether the socket is served costs nothing, and until then every commit is refused. */
export const CONNECT_RETRY_MS_MAX = 200;
/** A commit in the moment of the data process's restart waits so long for it. */
export const RETURN_WAIT_MS = 1_000;
/** Compiling, the kernel's check, and the revocation's own deadline. */
export const TRANSACTION_TIMEOUT_MS: number = REVOCATION_DEADLINE_MS + 28_000;
export const STATE_TIMEOUT_MS = 10_000;

export type LinkState = "connected" | "applying" | "away";

/** An applier in another process. */
export class DataLink implements Applier {
  readonly #path: string;
  readonly #log: Log;
  /** Gives running to the data process; false when that failed. */
  readonly #applyRunning: () => Promise<boolean>;
  #peer: LocalRpcPeer | undefined;
  readonly #waiters = new Set<() => void>();
  #isStopped = false;
  #state: LinkState = "away";

  constructor(path: string, log: Log, applyRunning: () => Promise<boolean>) {
    this.#path = path;
    this.#log = log;
    this.#applyRunning = applyRunning;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Keeps the connection until stop(); never rejects. */
  async run(): Promise<void> {
    let waitMs = RETRY_MS_MIN;
    let hasComplained = false;
    while (!this.#isStopped) {
      try {
        this.#peer = await connectLocalRpc(this.#path, {});
        waitMs = RETRY_MS_MIN;
        hasComplained = false;
        for (const wake of this.#waiters) wake();
        await this.#serve(this.#peer);
      } catch (error) {
        if (!hasComplained)
          this.#log.warn("The data process is away", { reason: describeError(error) });
        hasComplained = true;
      }
      this.#peer = undefined;
      this.#state = "away";
      await sleep(waitMs);
      waitMs = Math.min(CONNECT_RETRY_MS_MAX, 2 * waitMs);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#peer?.close();
  }

  async #serve(peer: LocalRpcPeer): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      peer.onClose = resolve;
    });
    this.#state = "applying";
    let waitMs = RETRY_MS_MIN;
    while (!peer.closed && this.#state === "applying") {
      if (await this.#applyRunning()) this.#state = "connected";
      else {
        await Promise.race([sleep(waitMs), closed]);
        waitMs = Math.min(RETRY_MS_MAX, 2 * waitMs);
      }
    }
    if (!peer.closed) this.#log.info("The data process has the running configuration");
    await closed;
  }

  /** `asksKernel` false: what the kernel would refuse is found out by commit, which is sooner done. */
  async prepare(
    transactionId: string,
    config: ConfigData,
    asksKernel = true,
  ): Promise<Result<undefined, ConfigProblem>> {
    await this.#waitForReturn();
    const answer = (await this.#call(
      "prepare",
      { transactionId, config, asksKernel },
      TRANSACTION_TIMEOUT_MS,
    )) as { readonly ok: boolean; readonly path?: string; readonly message?: string };
    if (answer.ok) return ok(undefined);
    const { path = "", message = "The data process refuses the configuration" } = answer;
    return err({ kind: "config-not-applicable", path, message });
  }

  async commit(transactionId: string): Promise<ApplyOutcome> {
    const answer = await this.#call("commit", { transactionId }, TRANSACTION_TIMEOUT_MS);
    this.#state = "connected"; // Whatever running was before, it is applied now.
    return { late: (answer as CommitOutcome).late };
  }

  async abort(transactionId: string): Promise<void> {
    await this.#call("abort", { transactionId }, TRANSACTION_TIMEOUT_MS);
  }

  /** Tells what a commit would do. */
  async preview(config: ConfigData): Promise<Result<Preview, RpcError>> {
    const answer = (await this.#call("preview", { config }, TRANSACTION_TIMEOUT_MS)) as
      | ({ readonly ok: true } & Preview)
      | { readonly ok: false; readonly path: string; readonly message: string };
    return answer.ok ? ok(answer) : err(previewFailed(answer.message, answer.path));
  }

  /** Makes interfaces, addresses and routes what was committed last; returns what was changed. */
  async repairNetwork(): Promise<readonly string[]> {
    const answer = await this.#call("repair-network", {}, TRANSACTION_TIMEOUT_MS);
    return (answer as { readonly changes: readonly string[] }).changes;
  }

  async getState(): Promise<ConfigData> {
    return (await this.#call("get-state", {}, STATE_TIMEOUT_MS)) as ConfigData;
  }

  /** Resolves when the data process is there, or when it has been waited for long enough. */
  async #waitForReturn(): Promise<void> {
    if (this.#peer !== undefined && !this.#peer.closed) return;
    let wake = (): void => {};
    const returned = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const timer = setTimeout(wake, RETURN_WAIT_MS);
    this.#waiters.add(wake);
    await returned;
    clearTimeout(timer);
    this.#waiters.delete(wake);
  }

  async #call(method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    const peer = this.#peer;
    if (peer === undefined || peer.closed) {
      throw new FlowliftError("LOCAL_RPC_CLOSED", "The data process is away; try again later");
    }
    try {
      return await peer.call(method, params, timeoutMs);
    } catch (error) {
      const isLost = error instanceof FlowliftError && error.code === "LOCAL_RPC_TIMEOUT";
      if (isLost && method !== "get-state") peer.close();
      throw error;
    }
  }
}
