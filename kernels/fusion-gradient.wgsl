// The way back through the middle of a folded AdapterFusion, one row per invocation: kernels/fusion.wgsl gives the way forth and the
// shapes of hidden, score, table and factor; maths of the rows in kernels/lib/fusion-row.wgsl.
//
// With q the softmax before any weight is forced to 0, and sums over the adapters a that are not forced:
//   dp_a = sum_k dy_a,k u_a,k + dy_offset,a        g_a = q_a (dp_a - sum_b q_b dp_b) f_a / T, dp_a being 0 where a is forced
//   dscore = [g_1 u_1 … g_N u_N, g_1 … g_N, 0 …]   dhidden_a = act'_a(hidden_a) (p_a dy_a + g_a score_a) with HAS_DHIDDEN
// Units past the active width, and pruned adapters, have 0.
//
// Shapes: dy and dscore [rows, N B + N, padded to a multiple of 8]; dhidden [rows, N B].
// Units wait in dscore for their factor. Loops of no or one turn stand for branches, as in kernels/fusion.wgsl. Own work.
// Bindings: 7 storage buffers. Workgroup memory: none. Private memory: 8 N bytes.
// lib: fusion-row activation activation-gradient

// --- parameters
const ADAPTERS: u32 = 2u;
const WIDTH: u32 = 8u; // a multiple of 4
const HAS_FACTOR: bool = false;
const HAS_DHIDDEN: bool = true;
const WORKGROUP: u32 = 16u;
// --- end parameters

@group(0) @binding(4) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dscore: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> dhidden: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

const RELU: u32 = 1u;
const GELU: u32 = 2u;
const SILU: u32 = 4u;

// Writes the units of adapter a to dscore. @returns their products with its score coefficients, and with its part of dy.
fn adapter_sums(row: u32, a: u32, width: u32, code: u32) -> vec2<f32> {
  let hidden_at = row * params.hidden_stride + a * CHUNKS;
  let score_at = row * params.score_stride + params.score_at + a * CHUNKS;
  let own_at = row * Y_CHUNKS + a * CHUNKS;
  var scores = vec4<f32>(0.0);
  var shares = vec4<f32>(0.0);
  for (var c = 0u; 4u * c < width; c += 1u) {
    let used = used_units(c, width);
    let u = units(hidden[hidden_at + c], code, used);
    scores += select(vec4<f32>(0.0), score[score_at + c], used) * u;
    shares += dy[own_at + c] * u;
    dscore[own_at + c] = u;
  }
  return vec2<f32>((scores.x + scores.y) + (scores.z + scores.w), (shares.x + shares.y) + (shares.z + shares.w));
}

// Gradients of the units in use, whose weight is `share` and whose score has the gradient `slope`.
fn adapter_back(row: u32, a: u32, width: u32, code: u32, share: f32, slope: f32) {
  let hidden_at = row * params.hidden_stride + a * CHUNKS;
  let score_at = row * params.score_stride + params.score_at + a * CHUNKS;
  let own_at = row * Y_CHUNKS + a * CHUNKS;
  for (var c = 0u; 4u * c < width; c += 1u) {
    let used = used_units(c, width);
    dscore[own_at + c] = slope * dscore[own_at + c];
    if (HAS_DHIDDEN) {
      let du = share * dy[own_at + c] + slope * score[score_at + c];
      let dz = activation_slope4(code, hidden[hidden_at + c]) * du;
      dhidden[(row * ADAPTERS + a) * CHUNKS + c] = select(vec4<f32>(0.0), dz, used);
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = (group.x + group.y * params.grid_width) * WORKGROUP + local;
  if (row >= params.rows) {
    return;
  }
  let own_at = row * Y_CHUNKS;

  var p: array<f32, ADAPTERS>; // scores, then q
  var dp: array<f32, ADAPTERS>;
  var largest = LOWEST;
  let heat = temperature();
  for (var a = 0u; a < ADAPTERS; a += 1u) {
    let record = adapter_record(a);
    let gone = is_pruned(row, a, record);
    let width = select(active_width(record), 0u, gone);
    let code = record.y;
    var sums = vec2<f32>(0.0);
    for (var turn = select(0u, 1u, code == RELU); turn > 0u; turn -= 1u) {
      sums = adapter_sums(row, a, width, RELU);
    }
    for (var turn = select(0u, 1u, code == GELU); turn > 0u; turn -= 1u) {
      sums = adapter_sums(row, a, width, GELU);
    }
    for (var turn = select(0u, 1u, code == SILU); turn > 0u; turn -= 1u) {
      sums = adapter_sums(row, a, width, SILU);
    }
    for (var turn = select(1u, 0u, code == RELU || code == GELU || code == SILU); turn > 0u; turn -= 1u) {
      sums = adapter_sums(row, a, width, code);
    }
    let logit = (sums.x + score_offset(row, a)) * score_factor(row, a) / heat;
    p[a] = select(logit, LOWEST, gone);
    largest = max(largest, p[a]);
    let at = ADAPTERS * WIDTH + a;
    let shown = !gone && (record.z & FORCED) == 0u;
    dp[a] = select(0.0, sums.y + dy[own_at + at / 4u][at % 4u], shown);
  }

  var total = 0.0;
  for (var a = 0u; a < ADAPTERS; a += 1u) {
    p[a] = select(exp(p[a] - largest), 0.0, is_pruned(row, a, adapter_record(a)));
    total += p[a];
  }
  // With every adapter pruned there is nothing to divide.
  total = select(total, 1.0, total == 0.0);
  var mean = 0.0;
  for (var a = 0u; a < ADAPTERS; a += 1u) {
    p[a] /= total;
    mean += p[a] * dp[a];
  }

  for (var a = 0u; a < ADAPTERS; a += 1u) {
    let record = adapter_record(a);
    let width = select(active_width(record), 0u, is_pruned(row, a, record));
    let slope = p[a] * (dp[a] - mean) * score_factor(row, a) / heat;
    let share = select(0.0, p[a], (record.z & FORCED) == 0u);
    let code = record.y;
    for (var turn = select(0u, 1u, code == RELU); turn > 0u; turn -= 1u) {
      adapter_back(row, a, width, RELU, share, slope);
    }
    for (var turn = select(0u, 1u, code == GELU); turn > 0u; turn -= 1u) {
      adapter_back(row, a, width, GELU, share, slope);
    }
    for (var turn = select(0u, 1u, code == SILU); turn > 0u; turn -= 1u) {
      adapter_back(row, a, width, SILU, share, slope);
    }
    for (var turn = select(1u, 0u, code == RELU || code == GELU || code == SILU); turn > 0u; turn -= 1u) {
      adapter_back(row, a, width, code, share, slope);
    }
    for (var c = (width + 3u) / 4u; c < CHUNKS; c += 1u) {
      dscore[own_at + a * CHUNKS + c] = vec4<f32>(0.0);
      if (HAS_DHIDDEN) {
        dhidden[(row * ADAPTERS + a) * CHUNKS + c] = vec4<f32>(0.0);
      }
    }
    p[a] = slope;
  }
  for (var c = ADAPTERS * CHUNKS; c < Y_CHUNKS; c += 1u) {
    var tail = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i += 1u) {
      let a = 4u * (c - ADAPTERS * CHUNKS) + i;
      if (a < ADAPTERS) {
        tail[i] = p[a];
      }
    }
    dscore[own_at + c] = tail;
  }
}
