/**
 * What a character device needs from libc: waiting for readiness, and a terminal without line discipline.
 *
 * Effect: loads libc.so.6. Source: poll(2), termios(3).
 */
import koffi from "koffi";
import { FlowliftError } from "../base/errors.ts";

export const POLLIN = 0x001;
export const POLLERR = 0x008;
export const POLLHUP = 0x010;
export const POLLNVAL = 0x020;

/** `struct pollfd`: int fd, short events, short revents. */
const POLLFD_BYTES = 8;
/** `struct termios` of glibc has 60 bytes; the rest is margin. */
const TERMIOS_BYTES = 128;
const TCSANOW = 0;

interface Libc {
  readonly poll: { async(fds: Buffer, count: number, timeoutMs: number, done: PollDone): void };
  readonly tcgetattr: (fd: number, termios: Buffer) => number;
  readonly tcsetattr: (fd: number, when: number, termios: Buffer) => number;
  readonly cfmakeraw: (termios: Buffer) => void;
}

type PollDone = (error: Error | null, count: number) => void;

let loaded: Libc | undefined;

function libc(): Libc {
  if (loaded !== undefined) return loaded;
  try {
    const library = koffi.load("libc.so.6");
    loaded = {
      poll: library.func("int poll(_Inout_ uint8_t *fds, unsigned long count, int timeout)"),
      tcgetattr: library.func("int tcgetattr(int fd, _Out_ uint8_t *termios)"),
      tcsetattr: library.func("int tcsetattr(int fd, int when, const uint8_t *termios)"),
      cfmakeraw: library.func("void cfmakeraw(_Inout_ uint8_t *termios)"),
    } as unknown as Libc;
    return loaded;
  } catch (cause) {
    throw new FlowliftError("NATIVE_LIBRARY_MISSING", "Cannot load libc.so.6", { cause });
  }
}

/**
 * Waits in a thread of its own until the descriptor can be read, has lost its peer, or the time is
 * over; returns the `revents` (0: time over). The descriptor stays open until then.
 */
export function pollReadable(fd: number, timeoutMs: number): Promise<number> {
  const record = Buffer.alloc(POLLFD_BYTES);
  record.writeInt32LE(fd, 0);
  record.writeInt16LE(POLLIN, 4);
  return new Promise((resolve, reject) => {
    libc().poll.async(record, 1, timeoutMs, (error) => {
      if (error === null) resolve(record.readInt16LE(6));
      else reject(error);
    });
  });
}

/** Turns off echo, line editing, signals and translation, if the descriptor is a terminal. */
export function makeRaw(fd: number): void {
  const { tcgetattr, tcsetattr, cfmakeraw } = libc();
  const termios = Buffer.alloc(TERMIOS_BYTES);
  if (tcgetattr(fd, termios) !== 0) return; // No terminal: a virtio-serial port.
  cfmakeraw(termios);
  tcsetattr(fd, TCSANOW, termios);
}
