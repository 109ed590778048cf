/**
 * An HTTP server that says who it is and whom it sees.
 *
 * Effect: listens. `GET /bytes/N` answers N bytes; every answer carries `x-server` and `x-peer`.
 * Limit: BODY_BYTES_MAX for each body.
 */
import { createServer } from "node:http";
import type { HttpServerResult, ServerOptions } from "./options.ts";
import { serveUntilStopped } from "./serving.ts";

export const BODY_BYTES_MAX: number = 16 * 1024 * 1024;
/** Connections that wait to be accepted. */
const BACKLOG_COUNT = 8192;

/** Serves until SIGTERM. */
export async function runHttpServer(options: ServerOptions): Promise<HttpServerResult> {
  const body = Buffer.alloc(BODY_BYTES_MAX, "flowlift ");
  const name = options.name ?? String(options.port);
  let connections = 0;
  let requests = 0;
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    requests++;
    const bytes = Math.min(BODY_BYTES_MAX, Number(/^\/bytes\/(\d+)$/.exec(request.url ?? "")?.[1]));
    response.writeHead(Number.isNaN(bytes) ? 404 : 200, {
      "content-length": Number.isNaN(bytes) ? 0 : bytes,
      "x-server": name,
      "x-peer": (request.socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
    });
    response.end(Number.isNaN(bytes) ? undefined : body.subarray(0, bytes));
  });
  server.on("connection", () => {
    connections++;
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(
      { port: options.port, host: options.address ?? "::", backlog: BACKLOG_COUNT },
      resolve,
    );
  });
  await serveUntilStopped();
  server.close();
  server.closeAllConnections();
  return { connections, requests };
}
