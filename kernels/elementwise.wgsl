// Arithmetic on elements: y = a (operation) b, or operation(a).
//
//   0 a + b   1 a - b   2 a * b   3 max(a, b)   4 sqrt(a^2 + b^2)   5 log(a)   6 sqrt(a)   7 a / b
//
// Shapes: a and y of one shape, `items` units of ITEM values each; b of the same shape, a row that is repeated, or one
//   value [1] in a binding of at least one unit. hypot is the plain formula: for magnitudes whose squares are f32 numbers.
// Bindings: 3 storage buffers. Workgroup memory: none.
// Algorithm: one unit an invocation.
// lib: item-vec4|item-scalar

// --- parameters
const OPERATION: u32 = 0u;
const B_PERIOD: u32 = 0u; // units after which b repeats; 0: it has a's shape
const B_ONE: bool = false; // b is one value
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  items: u32,
  grid_width: u32,
}

@group(0) @binding(0) var<storage, read> a: array<item>;
@group(0) @binding(1) var<storage, read> b: array<item>;
@group(0) @binding(2) var<storage, read_write> y: array<item>;
@group(0) @binding(3) var<uniform> params: Params;

fn second(i: u32) -> item {
  if (B_ONE) { return item(item_first(b[0])); }
  if (B_PERIOD == 0u) { return b[i]; }
  // max only spares the compiler a constant division by zero in the branch that is not taken.
  return b[i % max(B_PERIOD, 1u)];
}

fn apply(i: u32) -> item {
  let left = a[i];
  switch OPERATION {
    case 0u: { return left + second(i); }
    case 1u: { return left - second(i); }
    case 2u: { return left * second(i); }
    case 3u: { return max(left, second(i)); }
    case 4u: {
      let right = second(i);
      return sqrt(left * left + right * right);
    }
    case 5u: { return log(left); }
    case 7u: { return left / second(i); }
    default: { return sqrt(left); }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (i < params.items) {
    y[i] = apply(i);
  }
}
