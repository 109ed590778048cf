/**
 * Runs synchronous work in another network namespace and comes back.
 *
 * Effect: setns(2) of the calling thread; needs CAP_SYS_ADMIN. JavaScript runs nothing else meanwhile, so no
 * other work of the process ever sees the foreign namespace.
 */
import { closeSync, openSync } from "node:fs";
import koffi from "koffi";
import { assert } from "../base/assert.ts";
import { BpfError } from "./libbpf.ts";

const CLONE_NEWNET = 0x4000_0000;
const OWN_NAMESPACE = "/proc/thread-self/ns/net";

const libc = koffi.load(null);
const setns = libc.func("int setns(int fd, int type)");
const ifNameToIndex = libc.func("unsigned int if_nametoindex(const char *name)");

/** Returns what `work` returns. `path` names the namespace, such as /run/netns/NAME or /proc/PID/ns/net. */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  const home = openSync(OWN_NAMESPACE, "r");
  try {
    const target = openSync(path, "r");
    const entered = setns(target, CLONE_NEWNET) as number;
    closeSync(target);
    if (entered !== 0) throw new BpfError(`enter the network namespace "${path}"`, koffi.errno());
    try {
      return work();
    } finally {
      assert(setns(home, CLONE_NEWNET) === 0, "a thread may return to its own namespace");
    }
  } finally {
    closeSync(home);
  }
}

/** Returns the interface's index in the thread's namespace. */
export function findInterface(name: string): number {
  const index = ifNameToIndex(name) as number;
  if (index === 0) throw new BpfError(`find interface "${name}"`, koffi.errno());
  return index;
}
