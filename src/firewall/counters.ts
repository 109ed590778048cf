/** Names of the firewall's counters: made when the ruleset is, and again when state is read. Pure. */
import { digestName, type ObjectName } from "../lib/nft/identifier.ts";
import type { Attachment, ZonePolicy } from "./config.ts";

/** Counts the connections that one ACE judged at one interface and direction. */
export function aceCounter(attachment: Attachment, acl: string, ace: string): ObjectName {
  return digestName("ace", [attachment.interfaceName, attachment.direction, acl, ace]);
}

/** Counts the connections that one ACE judged inside a zone policy. */
export function policyAceCounter(policy: ZonePolicy, acl: string, ace: string): ObjectName {
  return digestName("pace", [policy.name, acl, ace]);
}

/** Counts the connections that fell through to a policy's own action. */
export function policyCounter(policy: ZonePolicy): ObjectName {
  return digestName("policy", [policy.name]);
}
