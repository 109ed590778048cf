// Prints one JSON line for each conntrack event; runs inside a namespace. Argument: folder of the built program.
const { listenConntrack } = await import(`${process.argv[2]}/lib/conntrack/events.js`);
await listenConntrack({
  wantNew: true,
  onEvents(events) {
    for (const event of events) {
      const { kind, entry } = event;
      if (entry === undefined) continue;
      const { mark, status, original } = entry;
      const line = { kind, mark, status, port: original.destinationPort };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  },
  onFailed(error) {
    throw error;
  },
});
process.stdout.write("READY\n");
