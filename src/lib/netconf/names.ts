/** Namespaces and capability names of NETCONF. Pure. Source: RFC 6241 §10, RFC 6242, RFC 7950 §5.6.4. */

export const NS_NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0";
/** Namespace of `insert`, `key` and `value` (RFC 7950 §7.8.6). */
export const NS_YANG = "urn:ietf:params:xml:ns:yang:1";
export const NS_MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring";

export const BASE_1_0 = "urn:ietf:params:netconf:base:1.0";
export const BASE_1_1 = "urn:ietf:params:netconf:base:1.1";
