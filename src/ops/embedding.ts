/** @file Token embeddings: the sum of word, position and type rows and of values computed before. */

import { EngineError } from "../errors.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";
import { rowCopyLaunch, rowCopyVariants } from "./row-copy.ts";

/** Attributes of {@link embedding}. */
export interface EmbeddingAttributes extends Attributes {
  /** Row of the position table of a segment's first token: 2 for RoBERTa, 0 otherwise. */
  readonly positionOffset?: number;
}

type Inputs = Readonly<Record<string, TensorType>>;

/**
 * ids?[R] u32 with word?[V, D] (f32 | f16), base?[R, D], position?[P, D], types?[R] u32 with type_table?[T, D],
 * segments[S + 1] u32 -> y[R, D] =
 *   base + word[ids] + position[row - segment start + positionOffset] + type_table[types].
 * Needs `ids` or `base`. Indices past a table add nothing.
 */
export const embedding: Op<EmbeddingAttributes> = {
  stem: "embedding",
  infer: (inputs, { positionOffset = 0 }) => {
    if (!Number.isInteger(positionOffset) || positionOffset < 0) {
      const message = `embedding: positionOffset is ${positionOffset}, expected a whole number from 0`;
      throw new EngineError("BAD_CONFIG", message, { where: "embedding.positionOffset" });
    }
    const [rows, width] = inferShape(inputs);
    expectTensor("embedding", "segments", inputs.segments, 1, ["u32"]);
    for (const [index, table, elements] of [
      ["ids", "word", ["f32", "f16"]],
      ["types", "type_table", ["f32"]],
    ] as const) {
      if (inputs[index] === undefined && inputs[table] === undefined) continue;
      expectDim(
        "embedding",
        `${index} axis 0`,
        expectTensor("embedding", index, inputs[index], 1, ["u32"]).shape[0],
        rows,
      );
      expectTable(inputs, table, width, elements);
    }
    if (inputs.position !== undefined) expectTable(inputs, "position", width, ["f32"]);
    return { y: { shape: [rows, width], element: "f32" } };
  },
  cost: (call, size) => {
    const terms = ["word", "base", "position", "type_table"].filter((role) => call.inputs[role] !== undefined).length;
    const elements = elementCount(call.outputs.y as TensorType, size);
    // Of the tables only the rows that are looked up are read.
    const tables = {
      ...call,
      inputs: Object.fromEntries(["ids", "types", "segments"].flatMap((role) => entry(call.inputs, role))),
    };
    const wordBytes = call.inputs.word?.element === "f16" ? 2 : 4;
    const rowBytes = terms * 4 - (call.inputs.word === undefined ? 0 : 4 - wordBytes);
    return { flops: Math.max(terms - 1, 0) * elements, bytes: trafficBytes(tables, size) + rowBytes * elements };
  },
  variants: ({ outputs }) => rowCopyVariants(outputs.y?.shape[1] as number),
  launch: ({ inputs, outputs, attributes }, variant) => {
    const [rows, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    const tableRows = (role: string): number => (inputs[role]?.shape[0] as number | undefined) ?? 0;
    const constants = {
      WORDS: tableRows("word"),
      POSITIONS: tableRows("position"),
      TYPES: tableRows("type_table"),
      HAS_BASE: inputs.base !== undefined,
    };
    const half = inputs.word?.element === "f16";
    const libs = [half ? `word-f16-${variant === "vector" ? "vec4" : "scalar"}` : "word-f32"];
    const segments = segmentCount(inputs.segments as TensorType);
    const uniform = { segments, position_offset: attributes.positionOffset ?? 0 };
    return [rowCopyLaunch({ kernel: "embedding", variant, width, rows, constants, uniform, libs })];
  },
};

function inferShape(inputs: Inputs): readonly [Dim, number] {
  if (inputs.base !== undefined) {
    const { shape } = expectTensor("embedding", "base", inputs.base, 2);
    return [shape[0] as Dim, staticDim("embedding", "base axis 1", shape[1])];
  }
  const word = expectTensor("embedding", "word", inputs.word, 2, ["f32", "f16"]);
  const ids = expectTensor("embedding", "ids", inputs.ids, 1, ["u32"]);
  return [ids.shape[0] as Dim, staticDim("embedding", "word axis 1", word.shape[1])];
}

function expectTable(inputs: Inputs, role: string, width: number, elements: readonly TensorType["element"][]): void {
  const table = expectTensor("embedding", role, inputs[role], 2, elements);
  staticDim("embedding", `${role} axis 0`, table.shape[0]);
  expectDim("embedding", `${role} axis 1`, table.shape[1], width);
}

function entry(inputs: Inputs, role: string): [string, TensorType][] {
  const type = inputs[role];
  return type === undefined ? [] : [[role, type]];
}
