/** A gRPC server that records what bridges send, in place of the controller. */
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { hostNameOfPeer } from "../../src/lib/pki/peer.ts";
import type { TlsMaterial } from "../../src/lib/pki/store.ts";
import {
  readStamp,
  UPSTREAM_CHANNEL_OPTIONS,
  UPSTREAM_SERVICE,
  type UpstreamFrame,
} from "../../src/offload-protocol/upstream.ts";

/** One call of a bridge. */
export interface AttachedCall {
  readonly host: string;
  readonly tenant: string;
  readonly vm: string;
  /** Frames as text: `M`, `m:TEXT`, `serial-up`, `refused LIMIT`, … */
  readonly frames: string[];
  isOver: boolean;
  send(frame: UpstreamFrame): void;
  onMessage: (bytes: Uint8Array) => void;
}

export class TestUpstream {
  readonly calls: AttachedCall[] = [];
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** Listens on a port of the loopback, or on `unix:PATH`. */
  static async start(tls: TlsMaterial, port: number | string = 0): Promise<TestUpstream> {
    const server = new Server({ ...UPSTREAM_CHANNEL_OPTIONS });
    const credentials = ServerCredentials.createSsl(
      Buffer.from(tls.authority),
      [{ cert_chain: Buffer.from(tls.certificate), private_key: Buffer.from(tls.key) }],
      true,
    );
    let take: ((call: ServerDuplexStream<UpstreamFrame, UpstreamFrame>) => void) | undefined;
    server.addService(UPSTREAM_SERVICE, {
      attach: (call: ServerDuplexStream<UpstreamFrame, UpstreamFrame>) => take?.(call),
    });
    const bound = await new Promise<number>((resolve, reject) => {
      const address = typeof port === "string" ? port : `127.0.0.1:${port}`;
      server.bindAsync(address, credentials, (error, value) =>
        error === null ? resolve(value) : reject(error),
      );
    });
    const upstream = new TestUpstream(server, bound);
    take = (call) => upstream.#take(call);
    return upstream;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #take(call: ServerDuplexStream<UpstreamFrame, UpstreamFrame>): void {
    const host = hostNameOfPeer(call.getAuthContext().sslPeerCertificate);
    const stamp = readStamp(call.metadata);
    const attached: AttachedCall = {
      host: host.ok ? host.value : host.error.kind,
      tenant: stamp.ok ? stamp.value.tenant : "",
      vm: stamp.ok ? stamp.value.vm : "",
      frames: [],
      isOver: false,
      send: (frame) => void call.write(frame),
      onMessage: () => {},
    };
    this.calls.push(attached);
    call.on("data", (frame: UpstreamFrame) => {
      attached.frames.push(describeFrame(frame));
      if (frame.kind === "message") attached.onMessage(frame.bytes);
    });
    const end = (): void => {
      attached.isOver = true;
    };
    call.on("end", end);
    call.on("error", end);
    call.on("cancelled", end);
  }
}

function describeFrame(frame: UpstreamFrame): string {
  switch (frame.kind) {
    case "marker":
      return "M";
    case "message":
      return `m:${Buffer.from(frame.bytes.subarray(0, 40)).toString("latin1")}`;
    case "refused-by-limit":
      return `refused ${frame.what}`;
    default:
      return frame.kind;
  }
}
