/**
 * The commands of the interactive shell.
 *
 * Effect: NETCONF requests through the connection; text goes to `print`.
 * Two modes, as VyOS and Junos have them: operational, and configuration after `configure`.
 */
import { readFileSync } from "node:fs";
import { childOf, textOf, type XmlElement } from "../lib/xml/tree.ts";
import { CONFIGURATION, formatHelp, OPERATIONAL } from "./commands.ts";
import { Completer } from "./completer.ts";
import { formatCommit, ServerRefusal, type ShellConnection, type Source } from "./connection.ts";
import { type Form, formatData } from "./forms.ts";
import {
  findMissing,
  formatDeletion,
  formatWords,
  type Location,
  parseLocation,
  ROOT_LOCATION,
} from "./location.ts";
import { readCount, readForm, UsageProblem } from "./parameters.ts";
import { renderDifference, renderSet } from "./render.ts";
import { type CommandLine, quoteWord, splitLine } from "./words.ts";

const NS_HISTORY = "urn:flowlift:history";
export const CONFIRM_MINUTES_DEFAULT = 10;
export const CONFIRM_MINUTES_MAX = 65_535;

export interface ShellOptions {
  readonly connection: ShellConnection;
  /** `admin@red-gw`. */
  readonly name: string;
  readonly print: (line: string) => void;
}

export class Shell {
  readonly #connection: ShellConnection;
  readonly #options: ShellOptions;
  readonly #completer: Completer;
  #isConfiguring = false;
  #isDone = false;
  #place: Location = ROOT_LOCATION;

  constructor(options: ShellOptions) {
    this.#connection = options.connection;
    this.#options = options;
    this.#completer = new Completer(options.connection);
  }

  /** What the word under the cursor can be, and how much of the line it replaces. */
  complete(line: string): Promise<[string[], string]> {
    return this.#completer.complete(line, this.#isConfiguring, this.#place);
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get prompt(): string {
    const place = formatWords(this.#place).map(quoteWord).join(" ");
    const where = place === "" ? "" : `[${place}] `;
    return `${where}${this.#options.name}${this.#isConfiguring ? "# " : "> "}`;
  }

  /** Runs one line; returns false when it failed, after having said why. */
  async run(line: string): Promise<boolean> {
    const command = splitLine(line);
    try {
      if (!command.ok) throw new UsageProblem(command.error);
      await this.#dispatch(command.value);
      return true;
    } catch (error) {
      if (!(error instanceof UsageProblem) && !(error instanceof ServerRefusal)) throw error;
      this.#options.print(`error: ${error.message}`);
      return false;
    }
  }

  async #dispatch({ words, pipe }: CommandLine): Promise<void> {
    const [name, ...rest] = words;
    if (name === undefined) return;
    const form = readForm(pipe);
    if (form !== undefined && name !== "show" && name !== "run") {
      throw new UsageProblem('Only "show" can be displayed in another form');
    }
    if (this.#isConfiguring) await this.#runConfiguration(name, rest, form);
    else await this.#runOperational(name, rest, form);
  }

  async #runOperational(
    name: string,
    rest: readonly string[],
    form: Form | undefined,
  ): Promise<void> {
    switch (name) {
      case "configure":
        this.#isConfiguring = true;
        return;
      case "show":
        return await this.#showOperational(rest, form);
      case "exit":
      case "quit":
        this.#isDone = true;
        return;
      case "help":
      case "?":
        return formatHelp(OPERATIONAL).forEach(this.#options.print);
      default:
        throw new UsageProblem(`There is no command "${name}" here; "help" lists them`);
    }
  }

  async #showOperational(rest: readonly string[], form: Form | undefined): Promise<void> {
    const [what, ...path] = rest;
    if (what === "history") {
      const place = this.#parse(ROOT_LOCATION, ["history"], false);
      return this.#display(await this.#connection.readState(place), form ?? "table");
    }
    if (what !== "configuration" && what !== "state") {
      throw new UsageProblem("show configuration, show state or show history");
    }
    const place = this.#parse(ROOT_LOCATION, path, what === "configuration");
    const data =
      what === "state"
        ? await this.#connection.readState(place)
        : await this.#connection.readConfig("running", place);
    this.#display(data, form ?? (what === "state" ? "table" : "tree"));
  }

  async #runConfiguration(
    name: string,
    rest: readonly string[],
    form: Form | undefined,
  ): Promise<void> {
    switch (name) {
      case "set":
        return await this.#connection.merge(this.#target(rest));
      case "delete":
        return await this.#connection.edit(formatDeletion(this.#target(rest), "delete"));
      case "show": {
        const place = this.#parse(this.#place, rest, true);
        return this.#display(await this.#connection.readConfig("candidate", place), form ?? "tree");
      }
      case "compare":
        return await this.#compare(rest);
      case "preview":
        return await this.#preview();
      case "commit":
        return await this.#commit(rest);
      case "rollback":
        return await this.#rollback(rest);
      case "load":
        return await this.#load(rest);
      case "run":
        return await this.#runOperational(rest[0] ?? "", rest.slice(1), form);
      default:
        return await this.#runSimple(name, rest);
    }
  }

  async #runSimple(name: string, rest: readonly string[]): Promise<void> {
    switch (name) {
      case "confirm":
        return void (await this.#connection.run("<commit/>"));
      case "discard":
        return void (await this.#connection.run("<discard-changes/>"));
      case "save": {
        const copy = "<target><startup/></target><source><running/></source>";
        return void (await this.#connection.run(`<copy-config>${copy}</copy-config>`));
      }
      case "edit":
        this.#place = this.#target(rest);
        return;
      case "up":
        this.#place = { steps: this.#place.steps.slice(0, -1) };
        return;
      case "top":
        this.#place = ROOT_LOCATION;
        return;
      case "exit":
      case "quit":
        return await this.#leave();
      case "help":
      case "?":
        return formatHelp(CONFIGURATION).forEach(this.#options.print);
      default:
        throw new UsageProblem(`There is no command "${name}" here; "help" lists them`);
    }
  }

  /** Changes that were not committed stay in the candidate: that is said. */
  async #leave(): Promise<void> {
    const changes = await this.#difference("running");
    if (changes.length > 0) {
      this.#options.print("The candidate has changes that are not committed; they stay there");
    }
    this.#isConfiguring = false;
    this.#place = ROOT_LOCATION;
  }

  async #compare(rest: readonly string[]): Promise<void> {
    const steps = rest[0] === undefined ? 0 : readCount(rest[0], "compare", 50);
    if (steps === 0) {
      for (const line of await this.#difference("running")) this.#options.print(line);
      return;
    }
    const request = `<compare xmlns="${NS_HISTORY}"><from><steps>${steps}</steps></from></compare>`;
    this.#printLeaf(await this.#connection.run(request), "difference");
  }

  async #difference(source: Source): Promise<string[]> {
    const { roots } = this.#connection;
    const before = renderSet(await this.#connection.readConfig(source, ROOT_LOCATION), roots);
    const after = renderSet(await this.#connection.readConfig("candidate", ROOT_LOCATION), roots);
    return renderDifference(before, after);
  }

  async #preview(): Promise<void> {
    const reply = await this.#connection.run(`<preview-commit xmlns="${NS_HISTORY}"/>`);
    for (const name of ["difference", "ruleset"]) this.#printLeaf(reply, name);
    const cut = textOf(reply, "cut-flows");
    if (cut === undefined) return;
    const offloaded = textOf(reply, "cut-offloaded-flows") ?? "0";
    this.#options.print(`${cut} live connections would be cut, ${offloaded} of them offloaded`);
  }

  async #commit(rest: readonly string[]): Promise<void> {
    const [kind, ...words] = rest;
    if (kind === "check") {
      await this.#connection.run("<validate><source><candidate/></source></validate>");
      return this.#options.print("The candidate is valid");
    }
    let minutes: number | undefined;
    let comment: string | undefined;
    if (kind === "confirmed") {
      const given = words.length === 0 ? `${CONFIRM_MINUTES_DEFAULT}` : words.join(" ");
      minutes = readCount(given, "commit confirmed", CONFIRM_MINUTES_MAX);
      if (minutes === 0) throw new UsageProblem("commit confirmed needs at least 1 minute");
    } else if (kind === "comment") comment = words.join(" ");
    else if (kind !== undefined) {
      throw new UsageProblem("commit, commit check, commit confirmed MINUTES, commit comment TEXT");
    }
    const reply = await this.#connection.run(formatCommit(minutes, comment));
    const late = childOf(reply, "late-revocations");
    if (late !== undefined) {
      this.#options.print("Committed; not every forbidden connection is cut yet:");
      for (const one of late.children) this.#options.print(`  ${one.text.trim()}`);
    } else if (minutes !== undefined) {
      this.#options.print(`Committed; "confirm" within ${minutes} minutes, or it is undone`);
    } else this.#options.print("Committed");
  }

  async #rollback(rest: readonly string[]): Promise<void> {
    const steps = readCount(rest[0] ?? "", "rollback", 50);
    if (steps === 0) return void (await this.#connection.run("<discard-changes/>"));
    const inner = `<steps>${steps}</steps><target>candidate</target>`;
    await this.#connection.run(`<rollback xmlns="${NS_HISTORY}">${inner}</rollback>`);
    this.#options.print('Loaded into the candidate; "compare" shows it, "commit" makes it so');
  }

  async #load(rest: readonly string[]): Promise<void> {
    const [mode, file] = rest;
    if ((mode !== "merge" && mode !== "replace") || file === undefined) {
      throw new UsageProblem("load merge FILE or load replace FILE");
    }
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      throw new UsageProblem(`Cannot read "${file}": ${(error as Error).message}`);
    }
    await this.#connection.edit(this.#connection.readDocument(text), mode);
  }

  #parse(base: Location, words: readonly string[], configOnly: boolean): Location {
    const place = parseLocation(this.#connection.roots, base, words, configOnly);
    if (!place.ok) throw new UsageProblem(place.error);
    return place.value;
  }

  /** A place that an edit can change: all keys are there. */
  #target(words: readonly string[]): Location {
    if (words.length === 0) throw new UsageProblem("A path is missing");
    const place = this.#parse(this.#place, words, true);
    const missing = findMissing(place);
    if (missing !== undefined) throw new UsageProblem(missing);
    return place;
  }

  #display(data: Record<string, unknown>, form: Form): void {
    for (const line of formatData(this.#connection, data, form)) this.#options.print(line);
  }

  #printLeaf(reply: XmlElement, name: string): void {
    const text = textOf(reply, name);
    if (text === undefined || text === "") return;
    for (const line of text.split("\n")) this.#options.print(line);
  }
}
