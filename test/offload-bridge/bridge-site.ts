/** A host for tests: keys, settings, a real bridge process as `nobody`, and its virtual machines. */
import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { initControllerPki, issueBridgePki } from "../../src/lib/pki/store.ts";
import {
  encodeMarker,
  encodeMessage,
  FrameDecoder,
  type SessionId,
} from "../../src/offload-protocol/framing.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

const MAIN = join(findProjectRoot(), LAB_DIST_DIRECTORY, "cli", "main.js");
/** `nobody`: a user without any right of its own. */
const BRIDGE_UID = 65_534;

export const MARKER: Buffer = encodeMarker("00000000000000aa" as SessionId);

export interface BridgeProcess {
  readonly child: ChildProcess;
  readonly stderr: () => string;
  readonly exited: Promise<number | null>;
  /** Resolves at READY, or when the process ends before. */
  readonly ready: Promise<boolean>;
}

/** A virtual machine's side of a serial socket. */
export class Guest {
  readonly socket: Socket;
  /** What arrived: `M` or text. */
  readonly received: string[] = [];
  isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    const decoder = new FrameDecoder();
    socket.on("data", (bytes: Buffer) => {
      for (const item of decoder.push(bytes)) {
        if (item.kind === "marker") this.received.push("M");
        else if (item.kind === "message") this.received.push(item.bytes.toString("latin1"));
        else this.received.push(item.what);
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  static dial(path: string): Promise<Guest> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => resolve(new Guest(socket)));
      socket.once("error", reject);
    });
  }

  send(...messages: string[]): void {
    for (const message of messages) this.socket.write(encodeMessage(message));
  }

  close(): void {
    this.socket.destroy();
  }
}

export class BridgeSite {
  readonly folder: string = mkdtempSync(join(tmpdir(), "flowlift-f-bridge-"));
  readonly pki: string = join(this.folder, "pki");
  readonly bridgePki: string = join(this.folder, "bridge-pki");
  readonly settingsFile: string = join(this.folder, "bridge.json");
  readonly #processes: BridgeProcess[] = [];
  readonly #guests: Guest[] = [];

  constructor(pki?: string) {
    chownSync(this.folder, BRIDGE_UID, BRIDGE_UID);
    if (pki === undefined) initControllerPki(this.pki);
    this.issue(pki ?? this.pki);
  }

  /** Issues the bridge's certificate and gives the files to the bridge's user. */
  issue(pki: string, now: Date = new Date()): void {
    issueBridgePki(pki, "host-1", { outDirectory: this.bridgePki, now });
    chownSync(this.bridgePki, BRIDGE_UID, BRIDGE_UID);
    for (const name of readdirSync(this.bridgePki)) {
      chownSync(join(this.bridgePki, name), BRIDGE_UID, BRIDGE_UID);
    }
  }

  socketOf(tenant: string): string {
    return join(this.folder, `${tenant}.sock`);
  }

  writeSettings(address: string, changes: Record<string, unknown> = {}): void {
    const vms = ["red", "blue"].map((tenant) => ({
      tenant,
      vm: "gateway",
      socketPath: this.socketOf(tenant),
      mode: "listen",
    }));
    const settings = {
      hostName: "host-1",
      controller: { address },
      pkiDirectory: this.bridgePki,
      vms,
      ...changes,
    };
    writeFileSync(this.settingsFile, JSON.stringify(settings));
  }

  /** Starts the bridge without any privilege. */
  start(): BridgeProcess {
    const child = spawn(
      "setpriv",
      [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "--no-new-privs",
        process.execPath,
        MAIN,
        "bridge",
        "--settings",
        this.settingsFile,
      ],
      { stdio: ["ignore", "pipe", "pipe"], cwd: "/" },
    );
    let stderr = "";
    child.stderr.on("data", (text: Buffer) => {
      stderr += text.toString();
    });
    const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
    const ready = new Promise<boolean>((resolve) => {
      child.stdout.on("data", (text: Buffer) => resolve(text.toString() === "READY\n"));
      void exited.then(() => resolve(false));
    });
    const bridge = { child, stderr: () => stderr, exited, ready };
    this.#processes.push(bridge);
    return bridge;
  }

  async dial(tenant: string): Promise<Guest> {
    const guest = await Guest.dial(this.socketOf(tenant));
    this.#guests.push(guest);
    return guest;
  }

  async dispose(): Promise<void> {
    for (const guest of this.#guests) guest.close();
    for (const { child, exited } of this.#processes) {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
