/**
 * An observer inside a VM of the tests: it was there before the image's own init, in a root of its own, and
 * tells on the console what listens and where packets may go. The image has no shell for anybody.
 */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packCpio } from "../../src/image/cpio.ts";
import type { GuestImage } from "../../src/lib/guest/guest-image.ts";

const BEGIN = "probe-begins";
const END = "probe-ends";

const START = `#!/bin/busybox sh
/bin/busybox mkdir -p /probe /dev
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmpfs /probe
/bin/busybox mkdir -p /probe/proc /probe/dev /probe/bin
/bin/busybox cp /bin/busybox /probe-loop /probe/bin/
/bin/busybox mount -t proc proc /probe/proc
/bin/busybox mount -t devtmpfs dev /probe/dev
/bin/busybox chroot /probe /bin/busybox sh /bin/probe-loop &
exec /init
`;

/** The console may be written to by others between two lines, hence a word in front of each. */
const LOOP = `while /bin/busybox sleep 3; do
  { echo ${BEGIN}
    for file in tcp tcp6 udp udp6 raw raw6; do
      while read -r line; do echo "probe $file $line"; done < /proc/net/$file
    done
    /bin/busybox ip addr | while read -r line; do echo "probe addr $line"; done
    /bin/busybox ip route show table all | while read -r line; do echo "probe route $line"; done
    echo ${END}
  } > /dev/console
done
`;

/** Returns the image with the observer in its initial RAM disk; `folder` is the caller's. */
export function addProbe(image: GuestImage, folder: string): GuestImage {
  const archive = packCpio(
    [
      { kind: "file", path: "probe-init", mode: 0o755, data: Buffer.from(START) },
      { kind: "file", path: "probe-loop", mode: 0o755, data: Buffer.from(LOOP) },
    ],
    0,
  );
  const initrdFile = join(folder, "initrd-with-probe");
  copyFileSync(image.initrdFile, initrdFile);
  const padding = Buffer.alloc((512 - (readFileSync(initrdFile).length % 512)) % 512);
  writeFileSync(initrdFile, Buffer.concat([readFileSync(initrdFile), padding, archive]));
  return { ...image, initrdFile, commandLine: `${image.commandLine} rdinit=/probe-init` };
}

/** Returns the lines of the newest whole report, by what they are about; undefined before the first. */
export function readProbe(console: string): ReadonlyMap<string, readonly string[]> | undefined {
  const end = console.lastIndexOf(END);
  const begin = console.lastIndexOf(BEGIN, end);
  if (end < 0 || begin < 0) return undefined;
  const found = new Map<string, string[]>();
  for (const match of console.slice(begin, end).matchAll(/probe (\w+) ([^\r\n]*)/g)) {
    const [, about = "", line = ""] = match;
    found.set(about, [...(found.get(about) ?? []), line]);
  }
  return found;
}

const TCP_LISTEN = "0A";
const UNCONNECTED = /^0+:0000$/;

/** Returns `protocol address:port` (hex, as the kernel prints) of every socket that accepts strangers. */
export function listListeners(probe: ReadonlyMap<string, readonly string[]>): string[] {
  return ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"].flatMap((protocol) =>
    (probe.get(protocol) ?? []).flatMap((line) => {
      const [, local = "", remote = "", state = ""] = line.trim().split(/\s+/);
      if (!local.includes(":") || local.startsWith("local")) return [];
      const accepts = protocol.startsWith("tcp") ? state === TCP_LISTEN : UNCONNECTED.test(remote);
      return accepts ? [`${protocol} ${local}`] : [];
    }),
  );
}
