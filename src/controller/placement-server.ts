/**
 * Tells bridges which serial ports to open, each those of its own host.
 *
 * Effect: writes to calls of bridges. Limit: a bridge that does not read gets the newest list only.
 */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import type { Log } from "../lib/base/log.ts";
import { hostNameOfPeer } from "../lib/pki/peer.ts";
import type { Placement, PlacementProblem } from "../offload-protocol/placements.ts";
import type { Controller } from "./controller.ts";
import { type PlacementBoard, WATCHERS_MAX } from "./placement-board.ts";

type WatchCall = ServerDuplexStream<readonly PlacementProblem[], readonly Placement[]>;

/** Serves one bridge's call. */
export function takeWatch(
  controller: Controller,
  board: PlacementBoard,
  call: WatchCall,
  log: Log,
): void {
  call.on("error", () => {});
  const peer = hostNameOfPeer(call.getAuthContext().sslPeerCertificate);
  if (!peer.ok) {
    const reason = "certificate-without-host";
    controller.ledger.metrics.stampsRefused.add({ reason });
    controller.ledger.writeAudit({ what: "stamp-refused", reason, detail: peer.error.message });
    call.emit("error", { code: status.PERMISSION_DENIED, details: peer.error.message });
    return;
  }
  const host = peer.value;
  let waiting: readonly Placement[] | undefined;
  const leave = board.watch(host, (placements) => {
    if (call.writableNeedDrain) waiting = placements;
    else call.write(placements);
  });
  if (leave === undefined) {
    const details = `${WATCHERS_MAX} calls of this host watch already`;
    call.emit("error", { code: status.RESOURCE_EXHAUSTED, details });
    return;
  }
  log.info("a bridge asks for its placements", { host });
  call.on("drain", () => {
    const newest = waiting;
    waiting = undefined;
    if (newest !== undefined) call.write(newest);
  });
  call.on("data", (problems: readonly PlacementProblem[]) => board.report(host, problems));
  for (const event of ["end", "error", "cancelled"]) call.on(event, leave);
  call.on("end", () => call.end());
}
