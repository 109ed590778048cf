/** What the traffic programs are told and what they report: one JSON object each way. Pure: types only. */

export interface ServerOptions {
  readonly port: number;
  /** Default: all addresses of both families. */
  readonly address?: string;
  /** Tells servers apart. Default: the port. */
  readonly name?: string;
}

export interface TargetOptions {
  readonly target: string;
  readonly port: number;
  /** How long one answer may take. Default: 10,000. */
  readonly timeoutMs?: number;
}

export interface HttpClientOptions extends TargetOptions {
  readonly connections: number;
  /** Default: 1. */
  readonly requestsPerConnection?: number;
  /** Connections open at the same time. Default: 50. */
  readonly parallel?: number;
  /** Bytes of each answer's body. Default: 100. */
  readonly bodyBytes?: number;
  /** Pause between the requests of a connection. Default: 0. */
  readonly pauseMs?: number;
  /** IPv4 prefix of which connection after connection uses the next address as its own. */
  readonly localPrefix?: string;
}

export interface HttpServerResult {
  readonly connections: number;
  readonly requests: number;
}

export interface HttpClientResult {
  readonly connections: number;
  readonly failedConnections: number;
  readonly requests: number;
  readonly failedRequests: number;
  readonly bytes: number;
  /** Connections by the name of the server that answered. */
  readonly servers: Readonly<Record<string, number>>;
  /** Connections by the address that the server saw. */
  readonly seenAs: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly durationMs: number;
}

export interface TransferClientOptions extends TargetOptions {
  readonly connections: number;
  readonly uploadBytes: number;
  readonly downloadBytes: number;
  /**
   * How often everything is transferred over the same connections. 0: whenever a line `round` arrives on
   * standard input, until `close` or its end; each round then reports a line of its own. Default: 1.
   */
  readonly rounds?: number;
  /** Pause before each connection is opened. Default: 0. */
  readonly openPauseMs?: number;
}

/** One round over all connections. */
export interface TransferRound {
  readonly round: number;
  /** Connections whose payload arrived whole, both ways. */
  readonly held: number;
  readonly failed: number;
  readonly durationMs: number;
}

export interface TransferClientResult {
  readonly connections: number;
  readonly failedConnections: number;
  readonly rounds: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly durationMs: number;
}

export interface TransferServerResult {
  readonly connections: number;
  readonly rounds: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

export interface UdpClientOptions extends TargetOptions {
  readonly flows: number;
  readonly packetsPerFlow: number;
  /** At least 16. Default: 64. */
  readonly payloadBytes?: number;
  /** All flows together; 0 sends the next packet of a flow when its answer is there. Default: 0. */
  readonly ratePps?: number;
}

export interface UdpClientResult {
  readonly flows: number;
  /** Flows without a single answer. */
  readonly silentFlows: number;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly corrupted: number;
  readonly durationMs: number;
}

export interface UdpServerResult {
  readonly received: number;
  readonly sent: number;
}

export interface DnsClientOptions extends TargetOptions {
  readonly queries: number;
  /** Queries on the way at the same time, each from a port of its own. Default: 50. */
  readonly parallel?: number;
}

export interface DnsClientResult {
  readonly queries: number;
  readonly answered: number;
  readonly wrong: number;
  readonly unanswered: number;
  readonly durationMs: number;
}

/** Options and result of every program. */
export interface TrafficPrograms {
  readonly "http-server": { readonly options: ServerOptions; readonly result: HttpServerResult };
  readonly "http-client": {
    readonly options: HttpClientOptions;
    readonly result: HttpClientResult;
  };
  readonly "transfer-server": {
    readonly options: ServerOptions;
    readonly result: TransferServerResult;
  };
  readonly "transfer-client": {
    readonly options: TransferClientOptions;
    readonly result: TransferClientResult;
  };
  readonly "udp-server": { readonly options: ServerOptions; readonly result: UdpServerResult };
  readonly "udp-client": { readonly options: UdpClientOptions; readonly result: UdpClientResult };
  readonly "dns-server": { readonly options: ServerOptions; readonly result: UdpServerResult };
  readonly "dns-client": { readonly options: DnsClientOptions; readonly result: DnsClientResult };
}

export type TrafficMode = keyof TrafficPrograms;

export const TIMEOUT_DEFAULT_MS = 10_000;
export const PARALLEL_DEFAULT = 50;
