/** @file The float64 activations against values that an arbitrary-precision library (mpmath) gives, rounded to float64. */

import { describe, expect, test } from "vitest";
import { activationCodes } from "../../src/ops/activation.ts";
import { activate, erf, erfc } from "../../src/reference/activation.ts";

const ABSOLUTE = 1e-15;
const RELATIVE = 4e-15; // of tails: an exponential of a rounded square, and a fraction

describe("erf", () => {
  const table: readonly (readonly [x: number, erf: number, erfc: number])[] = [
    [0, 0, 1],
    [0.001, 0.0011283787909692365, 0.9988716212090307],
    [0.5, 0.5204998778130465, 0.4795001221869535],
    [1, 0.8427007929497149, 0.15729920705028513],
    [1.9999, 0.9953201979070294, 0.004679802092970609],
    [2, 0.9953222650189527, 0.004677734981047266],
    [2.0001, 0.9953243313041966, 0.004675668695803344],
    [3, 0.9999779095030014, 2.209049699858544e-5],
    [5, 0.9999999999984626, 1.537459794428035e-12],
    [-1.5, -0.9661051464753108, 1.9661051464753108],
    [-4, -0.9999999845827421, 1.999999984582742],
  ];
  test.each(table)("of %d", (x, expected, complement) => {
    expect(Math.abs(erf(x) - expected)).toBeLessThanOrEqual(ABSOLUTE);
    expect(Math.abs(erfc(x) - complement)).toBeLessThanOrEqual(x >= 2 ? RELATIVE * complement : ABSOLUTE);
  });
});

describe("activate", () => {
  const table: readonly (readonly [name: string, x: number, expected: number])[] = [
    ["identity", -2.5, -2.5],
    ["relu", -2.5, 0],
    ["relu", 2.5, 2.5],
    ["gelu", -6, -5.9195258702261885e-9],
    ["gelu", -3, -0.0040496940948902835],
    ["gelu", 0.25, 0.14967658142073093],
    ["gelu", 1, 0.8413447460685429],
    ["gelu_new", -3, -0.003637392081773019],
    ["gelu_new", 1, 0.8411919906082767],
    ["silu", Math.log(3), 0.75 * Math.log(3)],
    ["swish", -Math.log(3), -0.25 * Math.log(3)],
    ["quick_gelu", Math.log(3) / 1.702, (0.75 * Math.log(3)) / 1.702],
    ["tanh", Math.log(2), 0.6],
    ["sigmoid", -Math.log(3), 0.25],
    ["leakyrelu", -3, -0.03],
    ["leakyrelu", 3, 3],
  ];
  test.each(table)("%s of %d", (name, x, expected) => {
    expect(Math.abs(activate(name, x) - expected)).toBeLessThanOrEqual(ABSOLUTE);
  });
  test("knows every name that has a code", () => {
    for (const name of Object.keys(activationCodes)) expect(activate(name, 0)).toBe(name === "sigmoid" ? 0.5 : 0);
  });
  test("refuses other names", () => expect(() => activate("mish", 0)).toThrow("mish"));
});
