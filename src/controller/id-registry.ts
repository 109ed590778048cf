/**
 * Numbers for names: segments, ports and virtual machines as the fast path knows them.
 *
 * Pure. A name keeps its number over every reload and restart, because the fast path's entries carry
 * numbers; a number is given again only after `forget` (see reclaim-ids.ts).
 * Invariant: no two names of one kind have the same number; 0 is never given.
 */
import { assert } from "../lib/base/assert.ts";
import { err, ok, type Result } from "../lib/base/result.ts";

/** What is numbered: `segment` for all hosts together, the others for each host by itself. */
export type IdKind = "segment" | `port ${string}` | `vm ${string}`;

export type IdError = { readonly kind: "ids-exhausted"; readonly what: string };

/** The registry as it is kept on disk. */
export type IdRegistryData = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Hands out the lowest free number for each new name. */
export class IdRegistry {
  readonly #kinds = new Map<string, Map<string, number>>();
  #changed = false;

  constructor(data: IdRegistryData = {}) {
    for (const [kind, names] of Object.entries(data)) {
      this.#kinds.set(kind, new Map(Object.entries(names)));
    }
  }

  /** Whether a number was given or forgotten since the last `toData`. */
  get changed(): boolean {
    return this.#changed;
  }

  /** Returns the number of `name`, a new one (1 to `idMax`) if it has none. */
  idOf(kind: IdKind, name: string, idMax: number): Result<number, IdError> {
    assert(idMax >= 1, "there is at least one number to give");
    const names = this.#kinds.get(kind) ?? new Map<string, number>();
    this.#kinds.set(kind, names);
    const present = names.get(name);
    if (present !== undefined) return ok(present);
    const used = new Set(names.values());
    let id = names.size + 1; // Every number below is taken unless one was forgotten.
    if (used.has(id) || id > idMax) {
      id = 1;
      while (used.has(id)) id++;
    }
    if (id > idMax) return err({ kind: "ids-exhausted", what: kind });
    names.set(name, id);
    this.#changed = true;
    return ok(id);
  }

  /** Returns every kind that has names. */
  kinds(): readonly IdKind[] {
    return [...this.#kinds.keys()] as IdKind[];
  }

  /** Returns the names of a kind with their numbers. */
  list(kind: IdKind): ReadonlyMap<string, number> {
    return this.#kinds.get(kind) ?? new Map();
  }

  /** Returns a registry of its own with the same names. */
  clone(): IdRegistry {
    const copy = new IdRegistry();
    for (const [kind, names] of this.#kinds) copy.#kinds.set(kind, new Map(names));
    copy.#changed = this.#changed;
    return copy;
  }

  /** Frees the numbers of every name that `keep` does not hold. */
  forget(kind: IdKind, keep: ReadonlySet<string>): void {
    const names = this.#kinds.get(kind);
    for (const name of [...(names?.keys() ?? [])]) {
      if (keep.has(name)) continue;
      names?.delete(name);
      this.#changed = true;
    }
  }

  toData(): IdRegistryData {
    this.#changed = false;
    return Object.fromEntries(
      [...this.#kinds].map(([kind, names]) => [kind, Object.fromEntries(names)]),
    );
  }
}
