/**
 * The server as the shell sees it: its schema, its datastores, its operations.
 *
 * Effect: NETCONF requests; modules that this machine lacks are fetched into a temporary folder.
 * Limit: MODULES_MAX modules.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import {
  childOf,
  childrenOf,
  escapeXml,
  formatXml,
  parseXml,
  textOf,
  type XmlElement,
} from "../lib/xml/tree.ts";
import type { SchemaNode } from "../lib/yang/schema-tree.ts";
import { YangContext, type YangModuleRequest } from "../lib/yang/yang-context.ts";
import { formatFilter, formatJson, type IdentityModules, type Location } from "./location.ts";

export const MODULES_MAX = 1024;
const NS_LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library";
const NS_MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring";
const NS_NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0";
const MODULE_NAME = /^[A-Za-z_][\w.-]*$/;
const REVISION = /^\d{4}-\d\d-\d\d$/;

/** Sends one operation and returns the whole rpc-reply. */
export interface NetconfCaller {
  call(operation: string): Promise<string>;
}

export type Source = "running" | "candidate" | "startup";

/** The server's refusal of one operation, as one line. */
export class ServerRefusal extends Error {}

export class ShellConnection {
  readonly roots: readonly SchemaNode[];
  readonly #caller: NetconfCaller;
  readonly #yang: YangContext;
  readonly #identities: IdentityModules;

  private constructor(caller: NetconfCaller, yang: YangContext) {
    this.#caller = caller;
    this.#yang = yang;
    this.roots = yang.walkSchema().roots;
    this.#identities = readIdentities(yang);
  }

  /** Reads the server's modules; `searchDirectories` hold those of this machine. */
  static async open(
    caller: NetconfCaller,
    searchDirectories: readonly string[],
  ): Promise<ShellConnection> {
    const library = `<get><filter type="subtree"><yang-library xmlns="${NS_LIBRARY}"/></filter></get>`;
    const modules = readModules(parseReply(await caller.call(library)));
    const folder = mkdtempSync(join(tmpdir(), "flowlift-shell-"));
    try {
      for (const module of modules) {
        if (!isLocal(module, searchDirectories)) await fetchModule(caller, module, folder);
      }
      const yang = YangContext.create({
        searchDirectories: [...searchDirectories, folder],
        modules,
      });
      return new ShellConnection(caller, yang);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  close(): void {
    this.#yang.destroy();
  }

  /** Runs an operation; throws ServerRefusal with the server's words. */
  async run(operation: string): Promise<XmlElement> {
    return parseReply(await this.#caller.call(operation));
  }

  /** Returns configuration below a place as RFC 7951 data. */
  async readConfig(source: Source, place: Location): Promise<Record<string, unknown>> {
    const filter = formatSubtree(place);
    const reply = await this.run(`<get-config><source><${source}/></source>${filter}</get-config>`);
    return this.#readData(reply);
  }

  /** Returns configuration and state below a place. */
  async readState(place: Location): Promise<Record<string, unknown>> {
    return this.#readData(await this.run(`<get>${formatSubtree(place)}</get>`));
  }

  /** RFC 7951 data as XML. */
  formatXml(data: Record<string, unknown>): string {
    const tree = this.#parse(JSON.stringify(data), "json");
    const text = tree.print("xml", { pretty: true });
    tree.free();
    return text.trimEnd();
  }

  /** Merges a place with its value into the candidate. */
  async merge(place: Location): Promise<void> {
    const tree = this.#parse(JSON.stringify(formatJson(place, this.#identities)), "json");
    const xml = tree.print("xml", { keepEmptyContainers: true });
    tree.free();
    await this.edit(xml);
  }

  /** Merges, or replaces everything by, XML elements. */
  async edit(config: string, mode: "merge" | "replace" = "merge"): Promise<void> {
    const inner = `<config xmlns:nc="${NS_NETCONF}">${config}</config>`;
    const operation = `<default-operation>${mode}</default-operation>`;
    await this.run(`<edit-config><target><candidate/></target>${operation}${inner}</edit-config>`);
  }

  /** Reads RFC 7951 text or XML and returns it as XML elements. */
  readDocument(text: string): string {
    const isJson = text.trimStart().startsWith("{");
    const tree = this.#parse(text, isJson ? "json" : "xml");
    const xml = tree.print("xml", { keepEmptyContainers: true });
    tree.free();
    return xml;
  }

  #readData(reply: XmlElement): Record<string, unknown> {
    const data = childOf(reply, "data");
    if (data === undefined || data.children.length === 0) return {};
    const tree = this.#parse(data.children.map((child) => formatXml(child)).join(""), "xml");
    const json = tree.toJson();
    tree.free();
    return json;
  }

  #parse(text: string, format: "json" | "xml") {
    const parsed = this.#yang.parseConfig(text, format, { validate: false, withState: true });
    if (parsed.ok) return parsed.value;
    const { path, message } = parsed.error;
    throw new ServerRefusal(path === undefined || path === "" ? message : `${path}: ${message}`);
  }
}

function formatSubtree(place: Location): string {
  if (place.steps.length === 0) return "";
  return `<filter type="subtree">${formatFilter(place)}</filter>`;
}

/** Returns the rpc-reply; throws ServerRefusal for its first error. */
function parseReply(text: string): XmlElement {
  const reply = parseXml(text);
  if (!reply.ok) throw new FlowliftError("LAB_FAILED", `No rpc-reply: ${reply.error.message}`);
  const errors = childrenOf(reply.value, "rpc-error").filter(
    (error) => textOf(error, "error-severity") !== "warning",
  );
  const [first] = errors;
  if (first === undefined) return reply.value;
  const path = textOf(first, "error-path")?.trim();
  const message = textOf(first, "error-message") ?? textOf(first, "error-tag") ?? "refused";
  throw new ServerRefusal(path === undefined ? message : `${message} (${path})`);
}

function readModules(reply: XmlElement): YangModuleRequest[] {
  const library = childOf(childOf(reply, "data") ?? reply, "yang-library");
  const sets = library === undefined ? [] : childrenOf(library, "module-set");
  const found = sets.flatMap((set) => childrenOf(set, "module"));
  if (found.length === 0 || found.length > MODULES_MAX) {
    const text = `The server lists ${found.length} YANG modules; 1 to ${MODULES_MAX} are needed`;
    throw new FlowliftError("YANG_MODULE_UNLOADABLE", text);
  }
  return found.map((module) => {
    const name = textOf(module, "name") ?? "";
    const revision = textOf(module, "revision");
    const features = childrenOf(module, "feature").map((feature) => feature.text.trim());
    if (!MODULE_NAME.test(name) || (revision !== undefined && !REVISION.test(revision))) {
      throw new FlowliftError("YANG_MODULE_UNLOADABLE", `The server lists a module "${name}"`);
    }
    return { name, ...(revision === undefined ? {} : { revision }), features };
  });
}

/** Found in the modules' texts: libyang's compiled schema is asked for data nodes only. */
function readIdentities(yang: YangContext): IdentityModules {
  const found = new Map<string, string[]>();
  for (const { name, revision } of yang.listModules()) {
    const text = yang.getSchemaText(name, revision === "" ? undefined : revision) ?? "";
    for (const match of text.matchAll(/^\s*identity\s+"?([\w.-]+)"?\s*[{;]/gm)) {
      const identity = match[1] ?? "";
      found.set(identity, [...(found.get(identity) ?? []), name]);
    }
  }
  return found;
}

function isLocal({ name, revision }: YangModuleRequest, folders: readonly string[]): boolean {
  const wanted = revision === undefined ? [`${name}.yang`] : [`${name}@${revision}.yang`];
  return folders.some((folder) => {
    if (wanted.some((file) => existsSync(join(folder, file)))) return true;
    return existsSync(folder) && readdirSync(folder).includes(`${name}.yang`);
  });
}

async function fetchModule(
  caller: NetconfCaller,
  { name, revision }: YangModuleRequest,
  folder: string,
): Promise<void> {
  const version = revision === undefined ? "" : `<version>${revision}</version>`;
  const request = `<identifier>${escapeXml(name)}</identifier>${version}<format>yang</format>`;
  const reply = parseReply(
    await caller.call(`<get-schema xmlns="${NS_MONITORING}">${request}</get-schema>`),
  );
  const text = textOf(reply, "data");
  if (text === undefined) {
    throw new FlowliftError("YANG_MODULE_UNLOADABLE", `The server does not give module "${name}"`);
  }
  const suffix = revision === undefined ? "" : `@${revision}`;
  writeFileSync(join(folder, `${name}${suffix}.yang`), text);
}

/** The `confirm-timeout`'s unit differs from the shell's: minutes there, seconds here. */
export function formatCommit(
  confirmMinutes: number | undefined,
  comment: string | undefined,
): string {
  const confirm =
    confirmMinutes === undefined
      ? ""
      : `<confirmed/><confirm-timeout>${60 * confirmMinutes}</confirm-timeout>`;
  const said =
    comment === undefined
      ? ""
      : `<comment xmlns="urn:flowlift:history">${escapeXml(comment)}</comment>`;
  return `<commit>${confirm}${said}</commit>`;
}
