/**
 * The ct mark's one bit table. The packet mark is another thing: it belongs to the first-packet hook.
 *
 * ```
 *  31     24 23      16 15      8 7 6 5 4 3 2  1 0
 * +---------+----------+---------+-+-+-+-+---+---+
 * | free    | egress   | ingress | free  |C|W|E|svc|
 * +---------+----------+---------+-------+-+-+-+---+
 * ```
 * svc: service (0 none, 1 nat, 2 lb, 3 firewall); E: eligible for offload; W: worthy (enough packets);
 * C: closing (first FIN or RST seen). ingress and egress: index of the appliance's interface (1-255) of
 * the original direction, 0 unknown. Pure.
 */

export const MARK_SERVICE_MASK = 0x0000_0003;
export const MARK_SERVICE_NAT = 1;
export const MARK_SERVICE_LB = 2;
export const MARK_SERVICE_FIREWALL = 3;
export const MARK_ELIGIBLE = 0x0000_0004;
export const MARK_WORTHY = 0x0000_0008;
export const MARK_CLOSING = 0x0000_0010;
export const MARK_INGRESS_SHIFT = 8;
export const MARK_INGRESS_MASK = 0x0000_ff00;
export const MARK_EGRESS_SHIFT = 16;
export const MARK_EGRESS_MASK = 0x00ff_0000;
/** Interfaces that can be told apart in the mark. */
export const MARK_INTERFACES_MAX = 255;
/**
 * Only while the first packet travels from prerouting to the forward hook: an ACL at the ingress
 * interface judged by a per-packet field, so the flow must not become eligible.
 */
export const MARK_INELIGIBLE_AT_INGRESS = 0x0100_0000;
