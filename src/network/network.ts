/**
 * Makes the kernel's network what the configuration says, and tells where it is not.
 *
 * Effect: rtnetlink reads and changes of the namespace; CAP_NET_ADMIN.
 * Invariant: `apply` either succeeds, or takes back what it had changed and throws.
 * Limit: PASSES_MAX readings of the kernel for each change, since one step can make it drop others' work
 * (a link that goes down loses its routes).
 */
import { describeError, FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import type { NetworkSnapshot } from "../lib/netlink/network-snapshot.ts";
import { EMPTY_NETWORK, type NetworkConfig } from "./config.ts";
import {
  describeDifference,
  describeOperation,
  invertOperation,
  type NetworkOperation,
  nameObject,
} from "./operation.ts";
import { planNetwork } from "./plan.ts";

export const PASSES_MAX = 4;

export interface Drift {
  readonly object: string;
  readonly difference: string;
}

/** The two effects, so that tests can stand in for the kernel. */
export interface NetworkKernel {
  read(): Promise<NetworkSnapshot>;
  /** Throws FlowliftError with the kernel's reason. */
  carryOut(operation: NetworkOperation): Promise<void>;
}

export class Network {
  readonly #kernel: NetworkKernel;
  readonly #log: Log;
  #config: NetworkConfig;

  /** `config`: what an earlier process has applied. */
  constructor(kernel: NetworkKernel, log: Log, config: NetworkConfig = EMPTY_NETWORK) {
    this.#kernel = kernel;
    this.#log = log;
    this.#config = config;
  }

  /** What was applied last. */
  get config(): NetworkConfig {
    return this.#config;
  }

  /**
   * Applies a configuration and returns what takes it back. Throws NETWORK_APPLY_FAILED; then nothing has
   * changed.
   */
  async apply(wanted: NetworkConfig): Promise<() => Promise<void>> {
    const before = this.#config;
    const done = await this.#reach(wanted, before);
    this.#config = wanted;
    return async () => {
      this.#config = before;
      await this.#takeBack(done);
    };
  }

  /** Makes the kernel what was applied last; returns what was changed. Throws NETWORK_APPLY_FAILED. */
  async repair(): Promise<string[]> {
    return (await this.#reach(this.#config, this.#config)).map(describeOperation);
  }

  /** Tells what somebody else changed. */
  async readDrift(): Promise<Drift[]> {
    const operations = planNetwork(this.#config, this.#config, await this.#kernel.read());
    const missing = operations.map((operation) => ({
      object: nameObject(operation),
      difference: describeDifference(operation),
    }));
    const objects = new Set<string>();
    return missing.filter(({ object }) => {
      const isNew = !objects.has(object);
      objects.add(object);
      return isNew;
    });
  }

  readSnapshot(): Promise<NetworkSnapshot> {
    return this.#kernel.read();
  }

  async #reach(wanted: NetworkConfig, before: NetworkConfig): Promise<NetworkOperation[]> {
    const done: NetworkOperation[] = [];
    for (let pass = 1; pass <= PASSES_MAX; pass++) {
      // What was configured before is gone after the first pass.
      const operations = planNetwork(
        wanted,
        pass === 1 ? before : wanted,
        await this.#kernel.read(),
      );
      if (operations.length === 0) return done;
      for (const operation of operations) await this.#carryOut(operation, done);
    }
    const left = planNetwork(wanted, wanted, await this.#kernel.read());
    if (left.length === 0) return done;
    await this.#takeBack(done);
    const text = left.map(describeOperation).join("; ");
    throw new FlowliftError("NETWORK_APPLY_FAILED", `The kernel does not keep it: ${text}`);
  }

  async #carryOut(operation: NetworkOperation, done: NetworkOperation[]): Promise<void> {
    try {
      await this.#kernel.carryOut(operation);
      done.push(operation);
    } catch (cause) {
      await this.#takeBack(done);
      const text = `Cannot ${describeOperation(operation)}: ${describeError(cause)}`;
      throw new FlowliftError("NETWORK_APPLY_FAILED", text, { cause });
    }
  }

  /** What is taken back may be gone already, by the kernel's own doing; the next reading tells. */
  async #takeBack(done: readonly NetworkOperation[]): Promise<void> {
    for (const operation of [...done].reverse()) {
      try {
        await this.#kernel.carryOut(invertOperation(operation));
      } catch (error) {
        this.#log.warn("A step could not be taken back", {
          step: describeOperation(operation),
          reason: describeError(error),
        });
      }
    }
  }
}
