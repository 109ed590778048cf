// Real sockets for system tests; runs inside a namespace with plain Node.
//   serve NAME PORT...                  TCP and UDP on each port: says "NAME peer-address peer-port", then echoes
//   ask JSON MS                         probes [{protocol, host, port, source?, sourcePort?}]: prints the answers
//   many HOST PORT COUNT                COUNT connections, 32 at a time: prints how often each name answered
//   hold HOST PORT                      one connection; prints a line for every echo
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { networkInterfaces } from "node:os";

const [mode, ...rest] = process.argv.slice(2);
let patienceMs = 3000;

function serve(name, ports) {
  // A UDP socket for each address, so that an answer leaves from where the question went.
  const own = Object.values(networkInterfaces())
    .flat()
    .filter((item) => !item.internal && !item.address.startsWith("fe80:"));
  let waiting = ports.length * (1 + own.length);
  const ready = () => {
    waiting--;
    if (waiting === 0) process.stdout.write("READY\n");
  };
  for (const port of ports.map(Number)) {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      const address = socket.remoteAddress?.replace("::ffff:", "");
      socket.write(`${name} ${address} ${socket.remotePort}\n`);
      socket.pipe(socket);
    });
    server.listen({ port, host: "::", backlog: 1024 }, ready);
    for (const { address, family } of own) {
      const socket = createSocket(family === "IPv6" ? "udp6" : "udp4");
      socket.on("message", (_, peer) => {
        socket.send(`${name} ${peer.address} ${peer.port}`, peer.port, peer.address);
      });
      socket.bind(port, address, ready);
    }
  }
}

function askTcp({ host, port, source, sourcePort }) {
  return new Promise((resolve) => {
    const options = { host, port };
    if (source) options.localAddress = source;
    if (sourcePort) options.localPort = sourcePort;
    const socket = connect(options);
    let text = "";
    const end = (answer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(null), patienceMs);
    socket.on("data", (chunk) => {
      text += chunk;
      if (text.includes("\n")) end(text.trim());
    });
    socket.on("error", (error) => end(error.code === "ECONNREFUSED" ? "refused" : null));
  });
}

function askUdp({ host, port, source, sourcePort }) {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    const end = (answer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end(null), patienceMs);
    socket.on("error", () => end(null));
    socket.on("message", (message) => end(message.toString()));
    socket.bind(sourcePort ?? 0, source, () => socket.send("x", port, host));
  });
}

async function many(host, port, count) {
  const answers = {};
  let left = Number(count);
  const worker = async () => {
    while (left > 0) {
      left--;
      const answer = await askTcp({ host, port: Number(port) });
      const name = answer?.split(" ")[0] ?? "none";
      answers[name] = (answers[name] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  process.stdout.write(JSON.stringify(answers));
}

function hold(host, port) {
  const socket = connect({ host, port: Number(port) });
  const timer = setInterval(() => socket.write("x\n"), 20);
  socket.on("data", () => process.stdout.write("echo\n"));
  socket.on("error", (error) => {
    clearInterval(timer);
    process.stdout.write(`${error.code}\n`);
  });
}

if (mode === "serve") serve(rest[0], rest.slice(1));
if (mode === "ask") {
  const probes = JSON.parse(rest[0]);
  patienceMs = Number(rest[1]);
  const answers = await Promise.all(
    probes.map((probe) => (probe.protocol === "udp" ? askUdp : askTcp)(probe)),
  );
  process.stdout.write(JSON.stringify(answers));
}
if (mode === "many") await many(...rest);
if (mode === "hold") hold(...rest);
