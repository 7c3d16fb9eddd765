// Gradient of cross-entropy by its logits: with (m, s) = normalizer[r] of the forward pass and y = labels[r],
//   dlogits[r, c] = dy[r] (exp(z_c - m) / s - (1 - ε) [c = y] - ε / C)
// A row whose label is no class gets zeros. LANES invocations share a row.
//
// Shapes: logits [rows, WIDTH], labels [rows], normalizer [rows, 2], dy [rows] -> dlogits [rows, WIDTH]
// Bindings: 5 storage buffers. Workgroup memory: none. Own work.
// lib: item-vec4|item-scalar
// --- parameters
const WIDTH: u32 = 768u; // C, a multiple of ITEM
const LANES: u32 = 64u; // invocations that share a row
const ROWS: u32 = 1u; // rows of a workgroup
// --- end parameters

struct Params {
  rows: u32,
  grid_width: u32,
  smoothing: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<item>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> normalizer: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dlogits: array<item>;
@group(0) @binding(5) var<uniform> params: Params;

const ITEMS: u32 = WIDTH / ITEM;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = (group.x + group.y * params.grid_width) * ROWS + local / LANES;
  if (row >= params.rows) {
    return;
  }
  let label = labels[row];
  if (label >= WIDTH) {
    for (var c = local % LANES; c < ITEMS; c += LANES) {
      dlogits[row * ITEMS + c] = item();
    }
    return;
  }
  let most = normalizer[row].x;
  let scale = 1.0 / normalizer[row].y;
  let gradient = dy[row];
  let even = params.smoothing / f32(WIDTH);
  for (var c = local % LANES; c < ITEMS; c += LANES) {
    let classes = vec4<u32>(0u, 1u, 2u, 3u) + c * ITEM;
    let own = select(vec4<f32>(), vec4<f32>(1.0 - params.smoothing), classes == vec4<u32>(label));
    let p = exp(logits[row * ITEMS + c] - most) * scale;
    dlogits[row * ITEMS + c] = (p - item_from_vec4(own) - even) * gradient;
  }
}
