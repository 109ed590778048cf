/** What a program on a machine says is read right: when it serves, its last line, how it failed, how it is ended. */
import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { ERROR_CHARS_MAX, RunningProgram } from "../../../src/lab/traffic/program.ts";

function run(script: string): RunningProgram {
  const child = spawn("sh", ["-c", script], { stdio: ["pipe", "pipe", "pipe"] });
  return new RunningProgram(child, "it");
}

test("lines are read in order, and the last one is the result", async () => {
  const program = run("echo READY; echo one; echo two");
  await program.waitReady();
  expect(await program.result).toBe("two");
});

test("a program that serves and is stopped has no result, and that is no failure", async () => {
  const program = run("echo READY; exec sleep 60");
  await program.waitReady();
  program.stop();
  expect(await program.result).toBeUndefined();
  expect(program.hasEnded).toBe(true);
});

test("a farewell ends a program that reads, and its result comes", async () => {
  const program = run("echo READY; read word; echo got $word");
  await program.waitReady();
  program.stop("close\n");
  expect(await program.result).toBe("got close");
});

test("a program that fails tells its last words, whoever asks", async () => {
  const program = run("echo READY; echo 'no such thing' >&2; exit 3");
  await expect(program.result).rejects.toThrow("it ended with 3: no such thing");
  await expect(program.nextLine()).rejects.toThrow("no such thing");
});

test("READY alone is no result, and another word is not READY", async () => {
  await expect(run("echo READY").result).rejects.toThrow("it ended with 0");
  await expect(run("echo hello").waitReady()).rejects.toThrow('said "hello"');
});

test.each([ERROR_CHARS_MAX - 1, ERROR_CHARS_MAX, ERROR_CHARS_MAX + 1])(
  "of %i characters of complaint no more than the bound are kept",
  async (count) => {
    const failure = await run(`head -c ${count} /dev/zero | tr '\\0' x >&2; exit 1`).result.catch(
      (error: unknown) => (error as Error).message,
    );
    expect(failure?.match(/x/g)).toHaveLength(Math.min(count, ERROR_CHARS_MAX));
  },
);
