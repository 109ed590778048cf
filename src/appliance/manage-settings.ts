/**
 * Reads the settings file of the appliance's processes, and the sockets that a parent passes.
 *
 * Effect: reads a file and the environment. Throws CONFIG_FILE_INVALID with the setting's name.
 */
import { readFileSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import { readSetting } from "../lib/base/settings.ts";
import type { ListenPoint } from "../management/ssh-server.ts";
import { APPLIANCE_PROFILES, isApplianceProfile } from "./modules.ts";
import type { ApplianceSettings } from "./settings.ts";

/** systemd's convention: inherited sockets start here. */
const FIRST_INHERITED_FD = 3;
/** A parent passes a few sockets. */
export const INHERITED_SOCKETS_MAX = 16;

type Fields = Readonly<Record<string, unknown>>;

/** Returns the settings; unknown members are left alone, for the other processes. */
export function readApplianceSettings(file: string): ApplianceSettings {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read settings "${file}"`, { cause });
  }
  return checkApplianceSettings(value, file);
}

/** Checks parsed settings; `file` is for messages. */
export function checkApplianceSettings(value: unknown, file: string): ApplianceSettings {
  const fail = (rule: string): never => {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Settings "${file}": ${rule}`);
  };
  if (!isFields(value)) return fail("the file holds one object");
  for (const name of ["name", "runDirectory", "stateDirectory", "bootId"]) {
    if (!isText(value[name])) fail(`"${name}" is a text that is not empty`);
  }
  const netconf = value["netconf"];
  if (!isFields(netconf)) return fail('"netconf" is an object');
  if (!isText(netconf["authorizedKeysFile"])) fail('"netconf.authorizedKeysFile" is a path');
  if (!isListOf(netconf["users"], isText)) fail('"netconf.users" is a list of names');
  if (!isListOf(netconf["listen"], isAddress)) {
    fail('"netconf.listen" is a list of {address, port}, port being 0 to 65535');
  }
  if (!isListOf(value["interfaces"], isText)) fail('"interfaces" is a list of names');
  const dayZero = value["dayZeroConfigFile"];
  if (dayZero !== undefined && !isText(dayZero)) fail('"dayZeroConfigFile" is a path');
  const profile = value["profile"];
  if (profile !== undefined && !isApplianceProfile(profile)) {
    fail(`"profile" is one of ${APPLIANCE_PROFILES.join(", ")}`);
  }
  return value as unknown as ApplianceSettings;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function isAddress(value: unknown): boolean {
  if (!isFields(value) || !isText(value["address"])) return false;
  const port = value["port"];
  return typeof port === "number" && Number.isInteger(port) && port >= 0 && port <= 65_535;
}

/** Returns where NETCONF listens: the settings' addresses, then the inherited sockets. */
export function listListenPoints(settings: ApplianceSettings): ListenPoint[] {
  const text = readSetting("LISTEN_FDS") ?? "0";
  const count = Number(text);
  if (!/^\d{1,3}$/.test(text) || count > INHERITED_SOCKETS_MAX) {
    const rule = `LISTEN_FDS is "${text}", not a number up to ${INHERITED_SOCKETS_MAX}`;
    throw new FlowliftError("CONFIG_FILE_INVALID", rule);
  }
  const inherited = Array.from({ length: count }, (_, index) => ({
    kind: "inherited" as const,
    fd: FIRST_INHERITED_FD + index,
  }));
  const own = settings.netconf.listen.map(({ address, port }) => ({
    kind: "address" as const,
    address,
    port,
  }));
  return [...own, ...inherited];
}
