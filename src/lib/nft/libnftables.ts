/**
 * The one file that loads libnftables.
 *
 * Effect: runs commands in the network namespace that the process has when `openNft` is called. Commands
 * run on koffi's own threads, one after the other, so that the event loop never waits for the kernel.
 * Source: nftables/libnftables.h (soname libnftables.so.1), libnftables-json(5).
 * Limit: COMMANDS_WAITING_MAX commands in the queue.
 */
import koffi from "koffi";
import { assert } from "../base/assert.ts";
import { FlowliftError } from "../base/errors.ts";
import { createSerialQueue } from "./serial-queue.ts";

const NFT_CTX_DEFAULT = 0;
/** NFT_CTX_OUTPUT_JSON */
const NFT_CTX_OUTPUT_JSON: number = 1 << 4;
const LIBRARY = "libnftables.so.1";
export const COMMANDS_WAITING_MAX = 64;
/** Of the library's complaints only so many characters are kept. */
export const ERROR_TEXT_CHARACTERS_MAX = 512;

export interface NftOutcome {
  readonly accepted: boolean;
  readonly output: string;
  /** Empty when accepted. */
  readonly errorText: string;
}

/** One libnftables context. */
export interface Nft {
  /** Runs a command in JSON. `dryRun`: the library checks it, the kernel does not see it. */
  run(command: string, options?: { readonly dryRun?: boolean }): Promise<NftOutcome>;
  close(): Promise<void>;
}

function loadLibrary() {
  try {
    const library = koffi.load(LIBRARY);
    return {
      ctxNew: library.func("void *nft_ctx_new(uint32_t flags)"),
      ctxFree: library.func("void nft_ctx_free(void *ctx)"),
      setFlags: library.func("void nft_ctx_output_set_flags(void *ctx, uint32_t flags)"),
      bufferOutput: library.func("int nft_ctx_buffer_output(void *ctx)"),
      bufferError: library.func("int nft_ctx_buffer_error(void *ctx)"),
      getOutput: library.func("const char *nft_ctx_get_output_buffer(void *ctx)"),
      getError: library.func("const char *nft_ctx_get_error_buffer(void *ctx)"),
      setDryRun: library.func("void nft_ctx_set_dry_run(void *ctx, bool dry)"),
      run: library.func("int nft_run_cmd_from_buffer(void *ctx, const char *buf)"),
    };
  } catch (cause) {
    throw new FlowliftError(
      "NATIVE_LIBRARY_MISSING",
      `Cannot load ${LIBRARY} (package libnftables1)`,
      {
        cause,
      },
    );
  }
}

/** Opens a context. Throws NATIVE_LIBRARY_MISSING. */
export function openNft(): Nft {
  const library = loadLibrary();
  const context: unknown = library.ctxNew(NFT_CTX_DEFAULT);
  assert(context !== null, "libnftables has memory for a context");
  library.setFlags(context, NFT_CTX_OUTPUT_JSON);
  library.bufferOutput(context);
  library.bufferError(context);
  const queue = createSerialQueue(COMMANDS_WAITING_MAX);
  let open = true;

  const runNow = async (command: string, dryRun: boolean): Promise<NftOutcome> => {
    library.setDryRun(context, dryRun);
    const code = await new Promise<number>((resolve, reject) => {
      library.run.async(context, command, (error: Error | null, result: number) =>
        error === null ? resolve(result) : reject(error),
      );
    });
    const output = (library.getOutput(context) ?? "") as string;
    const errorText = (library.getError(context) ?? "") as string;
    return { accepted: code === 0, output, errorText: shorten(errorText) };
  };

  return {
    run(command, options = {}) {
      assert(open, "no command runs in a closed context");
      const outcome = queue.add(() => runNow(command, options.dryRun ?? false));
      if (outcome !== undefined) return outcome;
      const message = `${COMMANDS_WAITING_MAX} nft commands wait already`;
      return Promise.reject(new FlowliftError("NFT_APPLY_REJECTED", message));
    },
    async close() {
      open = false;
      await queue.idle();
      library.ctxFree(context);
    },
  };
}

/** Keeps the complaints and leaves out the echoed input, which may be megabytes. */
function shorten(errorText: string): string {
  const lines = errorText.split("\n").filter((line) => /error/i.test(line));
  const text = (lines.length > 0 ? lines : errorText.split("\n")).slice(0, 4).join("; ");
  return text.length <= ERROR_TEXT_CHARACTERS_MAX
    ? text.trim()
    : text.slice(0, ERROR_TEXT_CHARACTERS_MAX);
}
