/** Which namespace a prefix stands for, by depth of element. Pure. Source: Namespaces in XML 1.0 §6. */

interface PrefixBinding {
  readonly prefix: string;
  readonly namespace: string;
  readonly depth: number;
}

/** The declarations in force. */
export class NamespaceScope {
  readonly #defaults: string[] = [""];
  readonly #bindings: PrefixBinding[] = [];

  /** An element at `depth` opens; it inherits. */
  enter(depth: number): void {
    this.#defaults[depth] = this.#defaults[depth - 1] ?? "";
  }

  leave(depth: number): void {
    while (this.#bindings.at(-1)?.depth === depth) this.#bindings.pop();
  }

  /** Takes an attribute; returns false when it is no declaration. */
  declare(depth: number, name: string, value: string): boolean {
    if (name === "xmlns") this.#defaults[depth] = value;
    else if (name.startsWith("xmlns:")) {
      this.#bindings.push({ prefix: name.slice(6), namespace: value, depth });
    } else return false;
    return true;
  }

  /** The namespace of names without prefix. */
  defaultAt(depth: number): string {
    return this.#defaults[depth] ?? "";
  }

  /** Returns the namespace of a prefix, or undefined when it is not declared. */
  lookUp(prefix: string): string | undefined {
    return this.#bindings.findLast((binding) => binding.prefix === prefix)?.namespace;
  }
}
