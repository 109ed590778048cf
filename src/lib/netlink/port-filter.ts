/**
 * The classic BPF program that drops what one port's requests caused, before it reaches a socket's queue.
 *
 * Pure. Source: linux/filter.h (struct sock_filter), linux/netlink.h (nlmsg_pid at byte 12).
 */

const SOCK_FILTER_BYTES = 8;
/** BPF_LD | BPF_W | BPF_ABS: reads in network order, while nlmsg_pid is little-endian. */
const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const PORT_OFFSET = 12;
const WHOLE_MESSAGE = 0xffff_ffff;
export const PORT_FILTER_COUNT = 4;

/** Returns `struct sock_filter[PORT_FILTER_COUNT]`. */
export function makePortFilter(port: number): Uint8Array {
  const bytes = new Uint8Array(PORT_FILTER_COUNT * SOCK_FILTER_BYTES);
  const view = new DataView(bytes.buffer);
  const write = (index: number, code: number, whenTrue: number, value: number): void => {
    view.setUint16(index * SOCK_FILTER_BYTES, code, true);
    view.setUint8(index * SOCK_FILTER_BYTES + 2, whenTrue);
    view.setUint32(index * SOCK_FILTER_BYTES + 4, value, true);
  };
  view.setUint32(0, port, true);
  const swapped = view.getUint32(0, false);
  write(0, LOAD_WORD, 0, PORT_OFFSET);
  write(1, JUMP_IF_EQUAL, 1, swapped);
  write(2, RETURN, 0, WHOLE_MESSAGE);
  write(3, RETURN, 0, 0);
  return bytes;
}
