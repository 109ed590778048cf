/**
 * A virtio-serial port as QEMU gives it: one client at a time on the host's side, one reader in the VM, and bytes
 * that wait while nobody reads.
 *
 * Effect: two Unix sockets in a folder of the caller.
 */
import { chmodSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";

export class Chardev {
  readonly hostPath: string;
  readonly guestPath: string;
  readonly #servers: Server[] = [];
  #host: Socket | undefined;
  #guest: Socket | undefined;
  /** What the VM wrote, for tests that look at it. */
  readonly seen: Buffer[] = [];

  constructor(hostPath: string, guestPath: string) {
    this.hostPath = hostPath;
    this.guestPath = guestPath;
  }

  async start(): Promise<void> {
    await this.#listen(this.hostPath, (socket) => {
      // A second client waits for ever, as in QEMU's backlog.
      if (this.#host !== undefined) return;
      this.#host = socket;
      socket.on("close", () => {
        this.#host = undefined;
      });
      socket.on("data", (bytes: Buffer) => void this.#guest?.write(bytes));
    });
    await this.#listen(this.guestPath, (socket) => {
      this.#guest?.destroy();
      this.#guest = socket;
      socket.on("data", (bytes: Buffer) => {
        this.seen.push(bytes);
        this.#host?.write(bytes);
      });
    });
  }

  /** QEMU was started anew, or the VM came back from a file: both connections are gone. */
  cut(): void {
    this.#host?.destroy();
    this.#guest?.destroy();
  }

  /** Puts bytes of nobody's session on the line to the VM. */
  inject(bytes: Uint8Array): void {
    this.#guest?.write(bytes);
  }

  close(): void {
    for (const server of this.#servers) server.close();
    this.cut();
  }

  #listen(path: string, take: (socket: Socket) => void): Promise<void> {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      take(socket);
    });
    this.#servers.push(server);
    return new Promise((resolve) => {
      server.listen(path, () => {
        chmodSync(path, 0o666);
        resolve();
      });
    });
  }
}
