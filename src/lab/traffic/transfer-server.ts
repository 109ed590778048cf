/** The server of the transfer protocol (transfer-codec.ts). Effect: listens. */
import { createServer, type Socket } from "node:net";
import { ByteStream } from "./byte-stream.ts";
import type { ServerOptions, TransferServerResult } from "./options.ts";
import { serveUntilStopped } from "./serving.ts";
import { decodeTransferRequest, REQUEST_BYTES } from "./transfer-codec.ts";

const BACKLOG_COUNT = 8192;

/** Serves until SIGTERM. */
export async function runTransferServer(options: ServerOptions): Promise<TransferServerResult> {
  const sums = { connections: 0, rounds: 0, bytesSent: 0, bytesReceived: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sums.connections++;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    serveConnection(new ByteStream(socket), sums).catch(() => socket.destroy());
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
  for (const socket of sockets) socket.destroy();
  return sums;
}

/** Ends by an error when the client closes: there is no last round. */
async function serveConnection(
  stream: ByteStream,
  sums: { rounds: number; bytesSent: number; bytesReceived: number },
): Promise<void> {
  for (;;) {
    const request = decodeTransferRequest(await stream.readExactly(REQUEST_BYTES));
    if (request === undefined) throw new Error("not a transfer request");
    const digest = await stream.readDigest(request.uploadBytes);
    sums.bytesReceived += request.uploadBytes;
    await stream.write(digest);
    await stream.write(await stream.writePayload(request, request.downloadBytes));
    sums.bytesSent += request.downloadBytes;
    sums.rounds++;
  }
}
