/**
 * @file The layer as the bytes of an ONNX model, the way exporters write BERT: one MatMul and one Add per linear map,
 * attention in single operators. Field numbers are those of onnx.proto (IR version 10, opset 20).
 */

import { layer, linears, transpose } from "./weights.mjs";

const FLOAT = 1;
const INT64 = 7;

/** A base-128 number of the protobuf wire format. */
function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** A number field. */
const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);

/** A length-delimited field: bytes, a string or a message. */
function block(field, content) {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function float(field, value) {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint((field << 3) | 5), bytes]);
}

const message = (...fields) => Buffer.concat(fields);

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9. */
function tensor(name, type, dims, data) {
  const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return message(...dims.map((dim) => number(1, dim)), number(2, type), block(8, name), block(9, raw));
}

/** ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 } } } }. */
function valueInfo(name, dims) {
  const shape = message(...dims.map((dim) => block(1, number(1, dim))));
  return message(block(1, name), block(2, block(1, message(number(1, FLOAT), block(2, shape)))));
}

/** AttributeProto: name 1, f 2, i 3, s 4, ints 8, type 20 (FLOAT 1, INT 2, STRING 3, INTS 7). */
const attribute = {
  float: (name, value) => message(block(1, name), float(2, value), number(20, 1)),
  int: (name, value) => message(block(1, name), number(3, value), number(20, 2)),
  string: (name, value) => message(block(1, name), block(4, value), number(20, 3)),
  ints: (name, list) => message(block(1, name), ...list.map((value) => number(8, value)), number(20, 7)),
};

/** NodeProto: input 1, output 2, name 3, op_type 4, attribute 5. */
function node(type, inputs, output, attributes = []) {
  const ins = inputs.map((input) => block(1, input));
  return message(
    ...ins,
    block(2, output),
    block(3, output),
    block(4, type),
    ...attributes.map((item) => block(5, item)),
  );
}

function initializers(weights) {
  const { width, heads, headWidth, tokens } = layer;
  const list = linears.flatMap(([name, out, inputs]) => [
    // MatMul wants [in, out].
    tensor(`${name}.weight`, FLOAT, [inputs, out], transpose(weights[`${name}.weight`], out, inputs)),
    tensor(`${name}.bias`, FLOAT, [out], weights[`${name}.bias`]),
  ]);
  for (const name of ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"]) {
    list.push(tensor(name, FLOAT, [width], weights[name]));
  }
  list.push(tensor("scale", FLOAT, [], Float32Array.of(1 / Math.sqrt(headWidth))));
  list.push(tensor("split", INT64, [4], BigInt64Array.of(1n, BigInt(tokens), BigInt(heads), BigInt(headWidth))));
  list.push(tensor("join", INT64, [3], BigInt64Array.of(1n, BigInt(tokens), BigInt(width))));
  return list;
}

function nodes() {
  const linear = (input, name) => [
    node("MatMul", [input, `${name}.weight`], `${name}.product`),
    node("Add", [`${name}.product`, `${name}.bias`], `${name}.output`),
  ];
  const split = (name, order) => [
    ...linear("x", name),
    node("Reshape", [`${name}.output`, "split"], `${name}.split`),
    node("Transpose", [`${name}.split`], `${name}.heads`, [attribute.ints("perm", order)]),
  ];
  const norm = (input, name, output) =>
    node("LayerNormalization", [input, `${name}.weight`, `${name}.bias`], output, [
      attribute.int("axis", -1),
      attribute.float("epsilon", layer.eps),
    ]);
  return [
    ...split("query", [0, 2, 1, 3]),
    ...split("key", [0, 2, 3, 1]),
    ...split("value", [0, 2, 1, 3]),
    node("MatMul", ["query.heads", "key.heads"], "scores.raw"),
    node("Mul", ["scores.raw", "scale"], "scores"),
    node("Softmax", ["scores"], "probabilities", [attribute.int("axis", -1)]),
    node("MatMul", ["probabilities", "value.heads"], "mixed.heads"),
    node("Transpose", ["mixed.heads"], "mixed.split", [attribute.ints("perm", [0, 2, 1, 3])]),
    node("Reshape", ["mixed.split", "join"], "mixed"),
    ...linear("mixed", "proj"),
    node("Add", ["proj.output", "x"], "sum1"),
    norm("sum1", "norm1", "h"),
    ...linear("h", "up"),
    node("Gelu", ["up.output"], "active", [attribute.string("approximate", "none")]),
    ...linear("active", "down"),
    node("Add", ["down.output", "h"], "sum2"),
    norm("sum2", "norm2", "y"),
  ];
}

/**
 * ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8; GraphProto: node 1, name 2, initializer 5,
 * input 11, output 12. Input `x` and output `y` are [1, tokens, width].
 */
export function onnxModel(weights) {
  const dims = [1, layer.tokens, layer.width];
  const graph = message(
    ...nodes().map((item) => block(1, item)),
    block(2, "bert-layer"),
    ...initializers(weights).map((item) => block(5, item)),
    block(11, valueInfo("x", dims)),
    block(12, valueInfo("y", dims)),
  );
  return message(number(1, 10), block(2, "adapters-webgpu-peers"), block(7, graph), block(8, number(2, 20)));
}
