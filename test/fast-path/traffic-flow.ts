/** The addresses of the traffic lab, and the flow of one of its connections. */
import type { FastPathFlow } from "../../src/fast-path/driver.ts";
import type { IpAddress } from "../../src/lib/inet/address.ts";
import { ip, mac } from "./frames.ts";

export const SEGMENT_A = 1;
export const SEGMENT_B = 2;
export const PORT_CLIENT = 1;
export const PORT_VM_A = 2;
export const PORT_VM_B = 3;
export const PORT_SERVER = 4;
export const SLOT = 1;
export const GENERATION = 3;
export const MAC_CLIENT = mac("02:11:00:00:00:01");
export const MAC_VM_A = mac("02:11:00:00:00:0a");
export const MAC_VM_B = mac("02:11:00:00:00:0b");
export const MAC_SERVER = mac("02:11:00:00:00:02");
export const CLIENT = { 4: ip("10.1.0.2"), 6: ip("fd00:1::2") };
export const SERVER = { 4: ip("198.51.100.2"), 6: ip("2001:db8::2") };
/** The VM translates IPv4 sources to its own address and leaves IPv6 alone. */
export const EXTERNAL: { readonly 4: IpAddress; readonly 6: IpAddress } = {
  4: ip("198.51.100.1"),
  6: CLIENT[6],
};

/** The flow of a connection from the client to the server; the VM keeps its source port. */
export function clientFlow(
  handle: number,
  connection: {
    readonly family: 4 | 6;
    readonly protocol: number;
    readonly sourcePort: number;
    readonly destinationPort: number;
  },
): FastPathFlow {
  const { family, protocol, sourcePort, destinationPort } = connection;
  const mtuBytes = 1500;
  return {
    handle,
    vmSlot: SLOT,
    generation: GENERATION,
    original: {
      segmentId: SEGMENT_A,
      destinationMac: MAC_VM_A,
      protocol,
      sourceAddress: CLIENT[family],
      destinationAddress: SERVER[family],
      sourcePort,
      destinationPort,
      newSourceAddress: EXTERNAL[family],
      newDestinationAddress: SERVER[family],
      newSourcePort: sourcePort,
      newDestinationPort: destinationPort,
      newSourceMac: MAC_VM_B,
      newDestinationMac: MAC_SERVER,
      egressPortId: PORT_SERVER,
      mtuBytes,
    },
    reply: {
      segmentId: SEGMENT_B,
      destinationMac: MAC_VM_B,
      protocol,
      sourceAddress: SERVER[family],
      destinationAddress: EXTERNAL[family],
      sourcePort: destinationPort,
      destinationPort: sourcePort,
      newSourceAddress: SERVER[family],
      newDestinationAddress: CLIENT[family],
      newSourcePort: destinationPort,
      newDestinationPort: sourcePort,
      newSourceMac: MAC_VM_A,
      newDestinationMac: MAC_CLIENT,
      egressPortId: PORT_CLIENT,
      mtuBytes,
    },
  };
}
