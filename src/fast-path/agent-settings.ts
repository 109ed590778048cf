/**
 * The settings file of `flowlift agent`.
 *
 * Pure. Unknown members are refused, so that a misspelt one is not silently a default.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import { FLOWS_MAX_DEFAULT } from "./flow-registry.ts";

/** Two directions of each flow must have an index of 32 bits, and memory is finite. */
export const FLOWS_MAX_LIMIT: number = 4 * 1024 * 1024;

export interface AgentSettings {
  /** For logs. */
  readonly hostName: string;
  readonly socketPath: string;
  /** An existing directory of a bpffs that the agent's user may write. */
  readonly pinDirectory: string;
  readonly flowsMax: number;
  /** Absent: the one that was built into dist/bpf. */
  readonly objectFile?: string;
}

export interface SettingsProblem {
  readonly kind: "settings-invalid";
  readonly message: string;
}

const TEXTS = ["hostName", "socketPath", "pinDirectory"] as const;
const KNOWN: ReadonlySet<string> = new Set([...TEXTS, "flowsMax", "objectFile"]);

/** Reads the settings from JSON text. */
export function parseAgentSettings(text: string): Result<AgentSettings, SettingsProblem> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse("it is not JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return refuse("it is not a JSON object");
  }
  const members = json as Record<string, unknown>;
  const unknown = Object.keys(members).find((name) => !KNOWN.has(name));
  if (unknown !== undefined) return refuse(`there is no setting "${unknown}"`);
  for (const name of TEXTS) {
    const value = members[name];
    if (typeof value !== "string" || value === "") return refuse(`"${name}" must be a text`);
  }
  const flowsMax = members["flowsMax"] ?? FLOWS_MAX_DEFAULT;
  if (typeof flowsMax !== "number" || !Number.isInteger(flowsMax)) {
    return refuse('"flowsMax" must be a whole number');
  }
  if (flowsMax < 1 || flowsMax > FLOWS_MAX_LIMIT) {
    return refuse(`"flowsMax" must be from 1 to ${FLOWS_MAX_LIMIT}`);
  }
  const objectFile = members["objectFile"];
  if (objectFile !== undefined && typeof objectFile !== "string") {
    return refuse('"objectFile" must be a text');
  }
  const [hostName = "", socketPath = "", pinDirectory = ""] = TEXTS.map((name) =>
    String(members[name]),
  );
  return ok({
    hostName,
    socketPath,
    pinDirectory,
    flowsMax,
    ...(objectFile === undefined ? {} : { objectFile }),
  });
}

function refuse(message: string): Result<never, SettingsProblem> {
  return err({ kind: "settings-invalid", message });
}
