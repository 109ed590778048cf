/** Waits until a peer takes what was written. Effect: pauses the stream meanwhile. */
import type { Duplex } from "node:stream";

export interface DrainWait {
  /** False: it took nothing for so long, or sent too much meanwhile. */
  readonly isDrained: Promise<boolean>;
  /** Gives up waiting, as if it had taken all. */
  readonly stop: () => void;
}

export function waitForDrain(
  stream: Duplex,
  writeStallMs: number,
  pausedBytesMax: number,
): DrainWait {
  stream.pause();
  let stop = (): void => {};
  const isDrained = new Promise<boolean>((resolve) => {
    let waiting = stream.writableLength;
    const timer = setInterval(() => {
      // Progress, however slow, is progress; but what a paused peer sends must stay bounded.
      const isStuck = stream.writableLength >= waiting;
      waiting = stream.writableLength;
      if (isStuck || stream.readableLength > pausedBytesMax) settle(false);
    }, writeStallMs);
    const settle = (isTaken: boolean): void => {
      clearInterval(timer);
      stream.off("drain", onDrain);
      if (isTaken) stream.resume();
      resolve(isTaken);
    };
    const onDrain = (): void => settle(true);
    stream.once("drain", onDrain);
    stop = onDrain;
  });
  return { isDrained, stop };
}
