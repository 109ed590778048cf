/** The form of every bench's last line. Pure. */
import { medianOf } from "../../lib/base/statistics.ts";

/** One figure: `value` against `target`; `ratio` = value / baseline where a baseline was measured in the same run. */
export interface Figure {
  readonly id: string;
  readonly value: number | null;
  readonly unit: string;
  readonly baseline: number | null;
  readonly ratio: number | null;
  /** For example ">= 0.85 ratio"; null where the figure is printed without a bar. */
  readonly target: string | null;
  /** Null where there is no target. */
  readonly met: boolean | null;
  readonly runs: number;
  /** What generates the load, where that is part of the figure's meaning. */
  readonly load?: string;
}

export interface BenchReport {
  readonly name: string;
  /** Every target was measured and met. */
  readonly ok: boolean;
  readonly machine: { readonly kernel: string; readonly cpus: number; readonly node: string };
  readonly figures: readonly Figure[];
}

export interface FigureSpec {
  readonly id: string;
  readonly unit: string;
  readonly load?: string;
  readonly target?: {
    readonly of: "value" | "ratio";
    readonly bound: "min" | "max";
    readonly at: number;
  };
}

/** Medians of interleaved runs; `baseline` holds the other side of the ratio, run for run. */
export function makeFigure(
  spec: FigureSpec,
  samples: readonly number[],
  baseline?: readonly number[],
): Figure {
  const value = medianOf(samples) ?? null;
  const other = baseline === undefined ? null : (medianOf(baseline) ?? null);
  const ratio = value === null || other === null || other === 0 ? null : value / other;
  const target = spec.target;
  const judged = target?.of === "ratio" ? ratio : value;
  const met =
    target === undefined
      ? null
      : judged !== null && (target.bound === "min" ? judged >= target.at : judged <= target.at);
  return {
    id: spec.id,
    value: round(value),
    unit: spec.unit,
    baseline: round(other),
    ratio: round(ratio),
    target:
      target === undefined
        ? null
        : `${target.bound === "min" ? ">=" : "<="} ${target.at}${target.of === "ratio" ? " x baseline" : ""}`,
    met,
    runs: samples.length,
    ...(spec.load === undefined ? {} : { load: spec.load }),
  };
}

function round(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4));
}

/** Returns the report; a target that was not measured makes it not ok. */
export function makeBenchReport(
  name: string,
  machine: BenchReport["machine"],
  figures: readonly Figure[],
): BenchReport {
  return { name, ok: figures.every((figure) => figure.met !== false), machine, figures };
}
