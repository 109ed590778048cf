/**
 * A session of an operator with the controller: read, and change as a whole or not at all.
 *
 * Effect: one NETCONF session over SSH; the server must show the key that its connection file names.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ControllerView, parseControllerView } from "../../deploy/tenancy/controller-view.ts";
import { NS_CONTROLLER } from "../../deploy/tenancy/edits.ts";
import { listLabs } from "../../lab/lab-state.ts";
import { layoutLab, RUN_DIRECTORY_DEFAULT } from "../../lab/layout.ts";
import { describeError, FlowliftError } from "../../lib/base/errors.ts";
import { parseXml, type XmlElement } from "../../lib/xml/tree.ts";
import { NetconfClient, type NetconfTarget } from "../netconf-client.ts";

/** Where a controller that is no lab's writes its connection file. */
export const CONNECTION_DEFAULT = "/run/flowlift/controller/netconf.json";
/** Flag that both commands have. */
export const CONNECTION_FLAG = "connection";

/** Returns the file to use: the one that was named, the only lab's, or the default. */
export function findConnectionFile(named: string | undefined): string {
  if (named !== undefined) return named;
  const labs = listLabs(RUN_DIRECTORY_DEFAULT);
  if (labs.length > 1) {
    const text = `Several labs run (${labs.join(", ")}): say --${CONNECTION_FLAG} FILE`;
    throw new FlowliftError("USAGE", text);
  }
  const [lab] = labs;
  if (lab === undefined) return CONNECTION_DEFAULT;
  const { controllerDirectory } = layoutLab(RUN_DIRECTORY_DEFAULT, lab);
  return join(controllerDirectory, "run", "netconf.json");
}

/** What a change did. */
export interface Changed {
  /** What was removed and could not be withdrawn in time, in words. */
  readonly late: readonly string[];
}

/** An open session. */
export class OperatorSession {
  readonly #client: NetconfClient;

  private constructor(client: NetconfClient) {
    this.#client = client;
  }

  /** Connects, works, and ends the session. */
  static async use<T>(
    named: string | undefined,
    work: (session: OperatorSession) => Promise<T>,
  ): Promise<T> {
    const file = findConnectionFile(named);
    const client = await NetconfClient.connect(readTarget(file));
    try {
      return await work(new OperatorSession(client));
    } finally {
      client.close();
    }
  }

  /** Returns configuration and state. */
  async read(): Promise<ControllerView> {
    const filter = `<filter type="subtree"><controller xmlns="${NS_CONTROLLER}"/></filter>`;
    const reply = await this.#must(`<get>${filter}</get>`, "Cannot read the controller");
    const view = parseControllerView(reply);
    if (!view.ok) throw new FlowliftError("LOCAL_RPC_FAILED", view.error.message);
    return view.value;
  }

  /** Changes the configuration; it is refused as a whole, or in force when this resolves. */
  async change(config: string, what: string): Promise<Changed> {
    const target = "<target><candidate/></target>";
    await this.#must(`<lock>${target}</lock>`, `${what}: another session is changing something`);
    try {
      await this.#must(`<edit-config>${target}<config>${config}</config></edit-config>`, what);
      const reply = await this.#must("<commit/>", what);
      return { late: listLate(reply) };
    } catch (error) {
      await this.#client.call("<discard-changes/>").catch(() => undefined);
      throw error;
    } finally {
      await this.#client.call(`<unlock>${target}</unlock>`).catch(() => undefined);
    }
  }

  async #must(operation: string, what: string): Promise<string> {
    const reply = await this.#client.call(operation);
    const problem = findError(reply);
    if (problem !== undefined) throw new FlowliftError("LOCAL_RPC_FAILED", `${what}: ${problem}`);
    return reply;
  }
}

function readTarget(file: string): NetconfTarget {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as NetconfTarget;
  } catch (cause) {
    const how = `say --${CONNECTION_FLAG} FILE; the controller writes one`;
    const text = `Cannot read "${file}" (${how})`;
    throw new FlowliftError("ENVIRONMENT_LACKS", text, { cause });
  }
}

/** Returns the first error of a reply in words. */
export function findError(reply: string): string | undefined {
  const root = parseXml(reply);
  if (!root.ok) return `the reply is no XML: ${describeError(root.error.message)}`;
  const errors = root.value.children.filter(({ local }) => local === "rpc-error");
  const serious = errors.find((error) => textOf(error, "error-severity") !== "warning");
  if (serious === undefined) return undefined;
  const path = textOf(serious, "error-path");
  const message = textOf(serious, "error-message") || textOf(serious, "error-tag");
  return path === "" ? message : `${message} (at ${path})`;
}

function listLate(reply: string): readonly string[] {
  const root = parseXml(reply);
  if (!root.ok) return [];
  const late = root.value.children.filter(({ local }) => local === "late-revocations");
  return late.flatMap(({ children }) => children.map(({ text }) => text.trim()));
}

function textOf(element: XmlElement, local: string): string {
  return element.children.find((child) => child.local === local)?.text.trim() ?? "";
}
