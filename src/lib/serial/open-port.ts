/** Opens a serial port of either kind. Effect: sockets, files. */
import type { Log } from "../base/log.ts";
import { DevicePort } from "./device-port.ts";
import type { SerialAddress, SerialPort } from "./port.ts";
import { UnixConnectPort } from "./unix-connect-port.ts";
import { UnixListenPort } from "./unix-listen-port.ts";

/**
 * Returns the port at once; `onUp` follows when it has a peer. A path that does not exist yet, or a
 * peer that is away, is tried again with back-off. Listening where it is impossible throws PORT_IN_USE
 * or SERIAL_PORT_FAILED.
 */
export async function openSerialPort(address: SerialAddress, log: Log): Promise<SerialPort> {
  if (address.kind === "device") return new DevicePort(address.path, log);
  if (address.mode === "listen") return await UnixListenPort.open(address.path, log);
  return new UnixConnectPort(address.path, log);
}
