/**
 * Whether a socket that the controller names may be opened: only below the directory of our own settings.
 *
 * Effect: looks at the file system (links in the path count by where they lead).
 * Limit: the directory's owner decides what lies below it; whoever may write there may place sockets there.
 */
import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, join, normalize, sep } from "node:path";
import { describeError } from "../lib/base/errors.ts";
import { err, ok, type Result } from "../lib/base/result.ts";

export type PlaceProblem = {
  readonly kind: "outside" | "missing" | "not-a-socket";
  readonly message: string;
};

/** Returns the path with every link in its directories resolved. `allowed` is an absolute directory. */
export function resolveSocketPath(path: string, allowed: string): Result<string, PlaceProblem> {
  const outside = (): Result<never, PlaceProblem> =>
    err({ kind: "outside", message: `"${path}" is not below "${allowed}"` });
  // As written it must be below already: no ".." and no second name of the directory.
  if (path.includes("\0") || normalize(path) !== path) return outside();
  if (!path.startsWith(withSlash(allowed)) || path.endsWith(sep)) return outside();
  let directory: string;
  try {
    directory = realpathSync(dirname(path));
    if (!withSlash(directory).startsWith(withSlash(realpathSync(allowed)))) return outside();
  } catch (error) {
    return err({ kind: "missing", message: `its directory is not there: ${describeError(error)}` });
  }
  const resolved = join(directory, basename(path));
  const stat = lstatSync(resolved, { throwIfNoEntry: false });
  if (stat !== undefined && !stat.isSocket()) {
    return err({ kind: "not-a-socket", message: `"${path}" exists and is no socket` });
  }
  return ok(resolved);
}

function withSlash(directory: string): string {
  return directory.endsWith(sep) ? directory : `${directory}${sep}`;
}
