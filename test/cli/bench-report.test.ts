import { expect, test } from "vitest";
import { makeBenchReport, makeFigure } from "../../src/cli/bench/report.ts";

const MACHINE = { kernel: "k", cpus: 2, node: "v" };
const ratio = (at: number, bound: "min" | "max" = "min") =>
  ({ id: "x", unit: "u", target: { of: "ratio", bound, at } }) as const;

test("makeFigure() takes medians and divides them", () => {
  const figure = makeFigure(ratio(0.85), [80, 90, 100], [100, 100, 100]);
  expect(figure).toMatchObject({ value: 90, baseline: 100, ratio: 0.9, met: true, runs: 3 });
});

test.each([
  { name: "below the minimum", figure: makeFigure(ratio(0.91), [90], [100]), met: false },
  { name: "at the minimum", figure: makeFigure(ratio(0.9), [90], [100]), met: true },
  { name: "above the maximum", figure: makeFigure(ratio(0.89, "max"), [90], [100]), met: false },
  { name: "never measured", figure: makeFigure(ratio(0.1), [], [100]), met: false },
  { name: "without a baseline", figure: makeFigure(ratio(0.1), [1]), met: false },
  { name: "without a bar", figure: makeFigure({ id: "x", unit: "u" }, [1]), met: null },
])("a figure $name", ({ figure, met }) => {
  expect(figure.met).toBe(met);
  expect(makeBenchReport("b", MACHINE, [figure]).ok).toBe(met !== false);
});
