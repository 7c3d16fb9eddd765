/** @file Dropout: elements left out at random, by a generator that counts and therefore needs no memory. */

import { EngineError } from "../errors.ts";
import { counted } from "./cost.ts";
import { flatLaunch, itemSize } from "./item-launch.ts";
import { elementCount, expectDim, expectTensor, trafficBytes } from "./op.ts";
import type { Attributes, Op, SizeOf, TensorType } from "./op.ts";
import { itemLibrary } from "./row-launch.ts";

/** Attributes of {@link dropout}. */
export interface DropoutAttributes extends Attributes {
  /** The probability in [0, 1) that an element is left out. */
  readonly rate: number;
  /** Number of the place in the model, below 2³²: places with other numbers choose independently. */
  readonly stream: number;
}

/** Elements that share a call of the generator. */
const EACH = 4;

/**
 * x of any shape, seed[2] u32 = (seed, step) -> y of x's shape: 0 with the probability `rate`, else x / (1 − rate). What is left out follows
 * from seed, step, stream and the element's number in x alone, by Philox 4×32-10, and is the same on every device. The gradient is the
 * same op on ∂y.
 */
export const dropout: Op<DropoutAttributes> = {
  stem: "dropout",
  infer: ({ x, seed }, { rate, stream }) => {
    if (!(rate >= 0 && rate < 1)) refuse("rate", rate, "a number from 0 to below 1");
    if (!(Number.isInteger(stream) && stream >= 0 && stream < 2 ** 32))
      refuse("stream", stream, "a whole number below 2^32");
    const { shape } = expectTensor("dropout", "x", x, x?.shape.length ?? 0);
    expectDim("dropout", "seed axis 0", expectTensor("dropout", "seed", seed, 1, ["u32"]).shape[0], 2);
    return { y: { shape, element: "f32" } };
  },
  cost: (call, size) => counted({ other: elementCount(call.outputs.y as TensorType, size) }, trafficBytes(call, size)),
  variants: () => ["item"],
  launch: ({ outputs, attributes: { rate, stream } }) => {
    const { shape } = outputs.y as TensorType;
    const values = itemSize(shape);
    const elements = (size: SizeOf): number => elementCount(outputs.y as TensorType, size);
    const uniform = {
      items: (size: SizeOf): number => elements(size) / values,
      stream,
      threshold: Math.min(Math.round(rate * 2 ** 32), 2 ** 32 - 1),
      scale: 1 / (1 - rate),
    };
    const items = (size: SizeOf): number => Math.ceil(elements(size) / EACH);
    return [flatLaunch({ kernel: "dropout", items, libs: [itemLibrary(values)], uniform })];
  },
};

function refuse(name: string, value: number, expected: string): never {
  throw new EngineError("BAD_CONFIG", `dropout: ${name} is ${value}, expected ${expected}`, {
    where: `dropout.${name}`,
  });
}
