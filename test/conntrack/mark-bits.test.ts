import { expect, test } from "vitest";
import {
  MARK_CLOSING,
  MARK_EGRESS_MASK,
  MARK_EGRESS_SHIFT,
  MARK_ELIGIBLE,
  MARK_INGRESS_MASK,
  MARK_INGRESS_SHIFT,
  MARK_INTERFACES_MAX,
  MARK_SERVICE_MASK,
  MARK_WORTHY,
} from "../../src/lib/conntrack/mark-bits.ts";

test("the fields of the ct mark do not overlap", () => {
  const fields = [
    MARK_SERVICE_MASK,
    MARK_ELIGIBLE,
    MARK_WORTHY,
    MARK_CLOSING,
    MARK_INGRESS_MASK,
    MARK_EGRESS_MASK,
  ];
  const sum = fields.reduce((total, field) => total + field, 0);
  const union = fields.reduce((bits, field) => bits | field, 0);
  expect(sum).toBe(union);
});

test("every interface number fits both of its fields, and one more fits neither", () => {
  expect(MARK_INTERFACES_MAX).toBe(MARK_INGRESS_MASK >>> MARK_INGRESS_SHIFT);
  expect(MARK_INTERFACES_MAX).toBe(MARK_EGRESS_MASK >>> MARK_EGRESS_SHIFT);
});
