/** Pieces of configuration that the NETCONF tests send. */

export const SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-system";
export const INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces";
export const ACL = "urn:ietf:params:xml:ns:yang:ietf-access-control-list";
const IF_TYPE = 'xmlns:ianaift="urn:ietf:params:xml:ns:yang:iana-if-type"';

/** Returns the appliance's own configuration. */
export function appliance(autoSave: boolean): string {
  return `<appliance xmlns="urn:flowlift:system"><auto-save>${autoSave}</auto-save></appliance>`;
}

/** Returns one interface with this content. */
export function interfaceXml(name: string, inner = "", attributes = ""): string {
  return `<interfaces xmlns="${INTERFACES}"><interface ${attributes}><name>${name}</name>${inner}</interface></interfaces>`;
}

/** Returns one interface that is complete. */
export function ethernet(name: string, inner = ""): string {
  return interfaceXml(name, `<type ${IF_TYPE}>ianaift:ethernetCsmacd</type>${inner}`);
}

/** Returns a description for an interface that is there. */
export function described(name: string, text: string): string {
  return interfaceXml(name, `<description>${text}</description>`);
}

/** Returns an edit of the host's name. */
export function hostname(name: string): string {
  return `<system xmlns="${SYSTEM}"><hostname>${name}</hostname></system>`;
}
