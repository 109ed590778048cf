/**
 * A candidate: what its owners want running to become.
 *
 * Pure state. A candidate without changes follows running. One with changes keeps what it began
 * from, so that what others have committed since is not undone by its commit.
 * Source: RFC 6241 §8.3.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { applicationError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { DataRoot } from "../data-node.ts";
import { diffRoots, formatNodePath } from "./diff.ts";
import { formatEdit } from "./edit-text.ts";

export interface CandidateOptions {
  readonly running: () => DataRoot;
  /** Applies an edit of formatEdit(). */
  readonly applyEdit: (base: DataRoot, xml: string) => Result<DataRoot, RpcError>;
  /** Private: a change by others at the same node is a conflict, not something to overwrite. */
  readonly isPrivate: boolean;
}

export class Candidate {
  readonly #options: CandidateOptions;
  /** What the changes were made to; undefined: there are none. */
  #base: DataRoot | undefined;
  #root: DataRoot | undefined;
  /** What the commit under way began with. */
  #taken: DataRoot | undefined;

  constructor(options: CandidateOptions) {
    this.#options = options;
  }

  get root(): DataRoot {
    return this.#root ?? this.#options.running();
  }

  get isModified(): boolean {
    return this.#root !== undefined && this.#root !== this.#options.running();
  }

  set(next: DataRoot): void {
    this.#base ??= this.#options.running();
    this.#root = next;
  }

  discard(): void {
    this.#base = undefined;
    this.#root = undefined;
  }

  /** Returns what running becomes: the candidate, with what others have committed since. */
  merged(): Result<DataRoot, RpcError> {
    const running = this.#options.running();
    const base = this.#base;
    this.#taken = this.#root;
    if (base === undefined || base === running) return ok(this.root);
    const conflict = this.#options.isPrivate ? this.#findConflict(base, running) : undefined;
    if (conflict !== undefined) return err(conflict);
    return this.#options.applyEdit(running, formatEdit(base, this.root));
  }

  #findConflict(base: DataRoot, running: DataRoot): RpcError | undefined {
    const theirs = new Set(diffRoots(base, running).map(({ place }) => formatNodePath(place)));
    for (const { place } of diffRoots(base, this.root)) {
      const path = formatNodePath(place);
      if (!theirs.has(path)) continue;
      const text = `"${path}" was changed by somebody else meanwhile`;
      return applicationError("operation-failed", text, { appTag: "conflict", path });
    }
    return undefined;
  }

  /** What merged() returned is running now; edits that came in meanwhile stay. */
  committed(): void {
    if (this.#root === this.#taken) this.discard();
    else this.#base = this.#taken;
  }

  /** Takes over what others have committed; the changes stay. */
  update(): RpcError | undefined {
    const merged = this.merged();
    if (!merged.ok) return merged.error;
    if (this.#base === undefined) return undefined;
    this.#base = this.#options.running();
    this.#root = merged.value;
    return undefined;
  }
}
