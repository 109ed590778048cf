// UDP for tests. `server PORT` echoes; `client SERVER PORT SOURCE_PORT COUNT BYTES` sends one request after
// the other and prints how many were answered.
import { createSocket } from "node:dgram";

const ANSWER_TIMEOUT_MS = 1000;
const [role, ...rest] = process.argv.slice(2);

if (role === "server") {
  for (const type of ["udp4", "udp6"]) {
    const socket = createSocket({ type, ipv6Only: type === "udp6" });
    socket.on("message", (bytes, from) => socket.send(bytes, from.port, from.address));
    await new Promise((resolve) => socket.bind(Number(rest[0]), resolve));
  }
  process.stdout.write("READY\n");
} else {
  const [server, port, sourcePort, count, bytes] = rest;
  const socket = createSocket(server.includes(":") ? "udp6" : "udp4");
  await new Promise((resolve) => socket.bind(Number(sourcePort), resolve));
  const payload = Buffer.alloc(Number(bytes), "flowlift");
  let answered = 0;
  for (let index = 0; index < Number(count); index++) {
    const answer = new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), ANSWER_TIMEOUT_MS);
      socket.once("message", (message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });
    socket.send(payload, Number(port), server);
    const message = await answer;
    if (message?.equals(payload)) answered++;
    else socket.removeAllListeners("message");
  }
  process.stdout.write(`${answered}\n`);
  socket.close();
}
