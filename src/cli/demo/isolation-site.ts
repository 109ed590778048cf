/**
 * The running probes of a lab: two serial ports, the hosts' interfaces, the fast path's maps.
 *
 * Effect: child processes in the lab's namespaces; `close()` ends them all.
 */
import type { Lab } from "../../lab/lab.ts";
import { netnsPath } from "../../lab/namespaces.ts";
import { ROOT } from "../../lab/privileges.ts";
import { assert } from "../../lib/base/assert.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import { type Datagram, decodeDatagram, encodeDatagram } from "./hostile-frame.ts";
import { LineProgram } from "./hostile-program.ts";
import { ANSWER_MS_MAX, HostileSession } from "./hostile-session.ts";
import {
  PROBE_ADDRESSES,
  PROBE_HOSTS,
  PROBE_INSIDE,
  PROBE_MACS,
  PROBE_NAME,
  type ProbeHost,
} from "./isolation-lab.ts";
import type { DumpedSlot, FastPathDump } from "./read-fast-path-maps.ts";

export type Side = "hostile" | "victim";

/** A datagram at a host's interface. */
export interface Packet {
  readonly side: Side;
  readonly host: ProbeHost;
  readonly datagram: Datagram;
}

const PLACES: readonly { readonly side: Side; readonly host: ProbeHost }[] = [
  { side: "hostile", host: "client" },
  { side: "hostile", host: "server" },
  { side: "victim", host: "client" },
  { side: "victim", host: "server" },
  { side: "victim", host: "near" },
  { side: "victim", host: "far" },
];

/** How long arriving frames are waited for; on veth they take microseconds. */
const LISTEN_MS = 100;

interface Seen {
  readonly id: number;
  readonly seen: readonly { readonly at: number; readonly bytes: string }[];
}

export class ProbeSite {
  readonly hostile: HostileSession;
  readonly victim: HostileSession;
  readonly names: Readonly<Record<Side, string>>;
  readonly #wire: LineProgram;
  readonly #reader: LineProgram;
  readonly #vmPorts: Readonly<Record<Side, string>>;
  #seen: Seen | undefined;
  #dump: FastPathDump | undefined;
  #exchanges = 0;

  private constructor(
    lab: Lab,
    sessions: Readonly<Record<Side, HostileSession>>,
    names: Readonly<Record<Side, string>>,
  ) {
    this.hostile = sessions.hostile;
    this.victim = sessions.victim;
    this.names = names;
    this.#vmPorts = { hostile: vmPort(lab, names.hostile), victim: vmPort(lab, names.victim) };
    this.#wire = startWire(lab, names);
    this.#reader = startReader(lab, Object.values(this.#vmPorts));
    this.#wire.onLine = (line) => {
      this.#seen = JSON.parse(line) as Seen;
    };
    this.#reader.onLine = (line) => {
      this.#dump = JSON.parse(line) as FastPathDump;
    };
  }

  /** Starts everything; sessions are open when it resolves. Throws LAB_FAILED. */
  static async open(lab: Lab): Promise<ProbeSite> {
    const [hostile = "", victim = ""] = lab.description.tenants;
    const [first, second] = await Promise.all(
      [hostile, victim].map((tenant) => HostileSession.open(lab, `${tenant}/${PROBE_NAME}`)),
    );
    assert(first !== undefined && second !== undefined, "both sessions are open");
    return new ProbeSite(lab, { hostile: first, victim: second }, { hostile, victim });
  }

  async close(): Promise<void> {
    const all = [this.hostile, this.victim, this.#wire, this.#reader];
    await Promise.all(all.map((program) => program.stop()));
  }

  /** Reads the fast path's maps now. */
  async dump(): Promise<FastPathDump> {
    this.#dump = undefined;
    this.#reader.send({});
    await this.#reader.until("the maps", () => this.#dump !== undefined, ANSWER_MS_MAX);
    assert(this.#dump !== undefined, "the maps were read");
    return this.#dump;
  }

  /** Returns what the maps say about a side's virtual machine. */
  slotOf(dump: FastPathDump, side: Side): DumpedSlot {
    const segmentId = dump.segments[this.#vmPorts[side]];
    const vnic = dump.vnics.find(
      (entry) => entry.segmentId === segmentId && entry.mac === PROBE_MACS.vnicInside,
    );
    const slot = dump.slots.find((entry) => entry.vmSlot === vnic?.vmSlot);
    if (slot !== undefined) return slot;
    throw new FlowliftError("LAB_FAILED", "The fast path does not know the probes' vNICs");
  }

  /** Returns how many packets for a side's virtual machine the fast path has met. */
  packetsMet(dump: FastPathDump, side: Side): number {
    const { fastPackets, passedPackets } = this.slotOf(dump, side);
    return fastPackets + passedPackets;
  }

  /** Sends packets and returns every marked one that arrived at any probe host since the last call. */
  async exchange(packets: readonly Packet[]): Promise<Packet[]> {
    const id = ++this.#exchanges;
    const frames = packets.map(({ side, host, datagram }) => ({
      at: PLACES.findIndex((place) => place.side === side && place.host === host),
      bytes: encodeDatagram(datagram).toString("base64"),
    }));
    this.#wire.send({ id, frames, listenMs: LISTEN_MS });
    await this.#wire.until("what arrives", () => this.#seen?.id === id, ANSWER_MS_MAX);
    return (this.#seen?.seen ?? []).flatMap(({ at, bytes }) => {
      const place = PLACES[at];
      const datagram = decodeDatagram(Buffer.from(bytes, "base64"));
      return place === undefined || datagram === undefined ? [] : [{ ...place, datagram }];
    });
  }

  /** Lets each host send once, so that it is known where it lives. */
  async introduceHosts(): Promise<void> {
    const { client, server } = PROBE_ADDRESSES[4];
    await this.exchange(
      PLACES.map(({ side, host }) => ({
        side,
        host,
        datagram: {
          sourceMac: PROBE_MACS[host],
          destinationMac: PROBE_MACS.vnicInside, // Flooded where nobody has it.
          sourceAddress: client,
          destinationAddress: server,
          sourcePort: 9,
          destinationPort: 9,
          tag: "here I am",
        },
      })),
    );
  }
}

function vmPort(lab: Lab, tenant: string): string {
  const found = lab.description.appliances
    .find((entry) => entry.tenant === tenant && entry.name === PROBE_NAME)
    ?.interfaces.find(({ segment }) => segment === PROBE_INSIDE);
  assert(found !== undefined, "the lab has the probes");
  return found.hostPort;
}

function startWire(lab: Lab, names: Readonly<Record<Side, string>>): LineProgram {
  const places = PLACES.map(({ side, host }) => {
    const machine = `${names[side]}/${PROBE_HOSTS[host]}`;
    return { netns: netnsPath(lab.netnsOf(machine)), interface: "eth0" };
  });
  return startProgram(lab, "cli/demo/hostile-wire.js", [JSON.stringify(places)]);
}

function startReader(lab: Lab, ports: readonly string[]): LineProgram {
  const pins = lab.description.agent?.pinDirectory;
  if (pins === undefined) throw new FlowliftError("LAB_FAILED", "The lab runs no fast-path agent");
  return startProgram(lab, "cli/demo/read-fast-path.js", [pins, ...ports]);
}

function startProgram(lab: Lab, entry: string, args: readonly string[]): LineProgram {
  const words = [...lab.nodeWords(entry), ...args];
  const child = lab.exec("host", words, { privileges: ROOT, stdio: ["pipe", "pipe", "pipe"] });
  return new LineProgram(entry, child);
}
