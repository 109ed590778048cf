/** Which functions of some folders were run. Effect: switches V8's coverage on. */
import { Session } from "node:inspector/promises";

export interface Coverage {
  readonly functionsRun: number;
  readonly functions: number;
  /** Functions that were never called, as file:name. */
  readonly missed: readonly string[];
}

export class CoverageMeter {
  readonly #session = new Session();

  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post("Profiler.enable");
    await this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  }

  async stop(isWanted: (file: string) => boolean): Promise<Coverage> {
    const { result } = await this.#session.post("Profiler.takePreciseCoverage");
    await this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
    let functions = 0;
    const missed: string[] = [];
    for (const script of result) {
      if (!isWanted(script.url)) continue;
      const file = script.url.split("/").at(-1) ?? "";
      for (const { functionName, ranges } of script.functions) {
        if (functionName === "") continue;
        functions++;
        if ((ranges[0]?.count ?? 0) === 0) missed.push(`${file}:${functionName}`);
      }
    }
    return { functionsRun: functions - missed.length, functions, missed };
  }
}
