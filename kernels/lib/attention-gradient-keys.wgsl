// The gradient of 4 keys of one head and their values against blocks of 16 queries, shared by the variants of the third
// launch of attention-gradient.
//
// A block's scores are four 4x4 matrices (a column per key): S += Q-tile * K-tile and dP += dY-tile * V-tile over the
// head's columns; then dV += dY-tileᵀ * P and dK += Q-tileᵀ * dS. A column never meets another one, so a row's bits do
// not depend on its neighbours. Both gradients stay in private memory from block to block.
//
// Beside this the kernel appends attention-mask and attention-gradient-rows. It declares the parameters and bindings,
// and how 4 queries are loaded:
//   fn own_queries(i: vec4<u32>) -> vec4<u32>                  the queries this invocation loads
//   fn query_columns(at: vec4<u32>, c: u32) -> mat4x4<f32>     chunk c of 4 rows of q, a column per row
//   fn dy_columns(at: vec4<u32>, c: u32) -> mat4x4<f32>        the same of dy
//   fn statistics_columns(at: vec4<u32>) -> mat4x4<f32>        4 rows of statistics, a column per row

// The queries of one segment.
struct Asking {
  start: u32, // first row
  count: u32,
}

// The 4 keys of a tile; the last one is repeated when the segment ends before the tile.
struct OwnKeys {
  head: u32,
  row: vec4<u32>,
  at: vec4<u32>, // where the head's columns of each row would start in kv, were keys and values at column 0
  position: vec4<i32>, // original position of each key in its segment
  own: vec4<bool>, // rows that are not repetitions
}

// The sums of the keys stand in private memory, those of the values in a function's: together they may take 16 KiB.
var<private> key_sums: array<mat4x4<f32>, CHUNKS>; // key_sums[c]: columns 4c .. 4c + 3, a column per key

fn own_key_tile(head: u32, tile: Tile, first: u32) -> OwnKeys {
  let wanted = first + vec4<u32>(0u, 1u, 2u, 3u);
  let row = min(wanted, vec4<u32>(tile.end - 1u));
  let start = segment_offset(1u, tile.segment);
  let keys = Keys(start, tile.end - start);
  let at = row * (KV_STRIDE / 4u) + head * CHUNKS;
  return OwnKeys(head, row, at, vec4<i32>(key_positions(keys, row - start)), wanted < vec4<u32>(tile.end));
}

// The first of a segment's queries that may see a key at this position, rounded down to a block.
fn first_block(asking: Asking, position: u32) -> u32 {
  if (!CAUSAL) {
    return 0u;
  }
  var low = 0u;
  var high = asking.count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (query_position(asking.start + middle, asking.start) < position) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low / 16u * 16u;
}

// Four 4x4 matrices: 16 queries and 4 keys.
struct Block {
  a: mat4x4<f32>,
  b: mat4x4<f32>,
  c: mat4x4<f32>,
  d: mat4x4<f32>,
}

// Where the rows of 16 queries start, 4 by 4.
struct Places {
  a: vec4<u32>,
  b: vec4<u32>,
  c: vec4<u32>,
  d: vec4<u32>,
}

// The rows of queries i0 .. i0 + 15 that this invocation loads. Queries past the end read the last one (and are
// masked).
fn query_rows(asking: Asking, i0: u32) -> Places {
  let i = i0 + vec4<u32>(0u, 1u, 2u, 3u);
  let last = vec4<u32>(asking.count - 1u);
  return Places(
    asking.start + min(own_queries(i), last),
    asking.start + min(own_queries(i + 4u), last),
    asking.start + min(own_queries(i + 8u), last),
    asking.start + min(own_queries(i + 12u), last),
  );
}

fn spread(rows: Places, stride: u32, at: u32) -> Places {
  return Places(rows.a * stride + at, rows.b * stride + at, rows.c * stride + at, rows.d * stride + at);
}

fn scores(keys: OwnKeys, at: Places) -> Block {
  var a = mat4x4<f32>();
  var b = mat4x4<f32>();
  var c = mat4x4<f32>();
  var d = mat4x4<f32>();
  for (var i = 0u; i < CHUNKS; i += 1u) {
    let own = keys.at + (K_AT / 4u + i);
    let rows = mat4x4<f32>(kv[own.x], kv[own.y], kv[own.z], kv[own.w]);
    a += transpose(query_columns(at.a, i)) * rows;
    b += transpose(query_columns(at.b, i)) * rows;
    c += transpose(query_columns(at.c, i)) * rows;
    d += transpose(query_columns(at.d, i)) * rows;
  }
  return Block(a, b, c, d);
}

fn weighed_values(keys: OwnKeys, at: Places) -> Block {
  var a = mat4x4<f32>();
  var b = mat4x4<f32>();
  var c = mat4x4<f32>();
  var d = mat4x4<f32>();
  for (var i = 0u; i < CHUNKS; i += 1u) {
    let own = keys.at + (V_AT / 4u + i);
    let rows = mat4x4<f32>(kv[own.x], kv[own.y], kv[own.z], kv[own.w]);
    a += transpose(dy_columns(at.a, i)) * rows;
    b += transpose(dy_columns(at.b, i)) * rows;
    c += transpose(dy_columns(at.c, i)) * rows;
    d += transpose(dy_columns(at.d, i)) * rows;
  }
  return Block(a, b, c, d);
}

// Probabilities from scores s of queries i, whose statistics are m[0] maxima, m[1] inverse totals, m[3] positions.
fn probabilities(keys: OwnKeys, s: mat4x4<f32>, m: mat4x4<f32>, i: vec4<u32>, count: u32) -> mat4x4<f32> {
  let inside = i < vec4<u32>(count);
  let position = vec4<i32>(m[3]);
  return mat4x4<f32>(
    exp(mask_scores(keys.head, s[0], keys.position.x - position, inside) - m[0]) * m[1],
    exp(mask_scores(keys.head, s[1], keys.position.y - position, inside) - m[0]) * m[1],
    exp(mask_scores(keys.head, s[2], keys.position.z - position, inside) - m[0]) * m[1],
    exp(mask_scores(keys.head, s[3], keys.position.w - position, inside) - m[0]) * m[1],
  );
}

// The gradient of scores from probabilities p of which the gradient is g.
fn score_gradient(p: mat4x4<f32>, g: mat4x4<f32>, weighted: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    p[0] * (g[0] - weighted),
    p[1] * (g[1] - weighted),
    p[2] * (g[2] - weighted),
    p[3] * (g[3] - weighted),
  );
}

fn key_tile_gradient(head: u32, tile: Tile, first: u32) {
  let keys = own_key_tile(head, tile, first);
  let start = segment_offset(0u, tile.segment);
  let asking = Asking(start, segment_offset(0u, tile.segment + 1u) - start);
  // Positions ascend: the tile's first key is the first one to be seen.
  let key_start = segment_offset(1u, tile.segment);
  let segment = Keys(key_start, tile.end - key_start);
  let begin = first_block(asking, key_positions(segment, vec4<u32>(tile.first - key_start)).x);
  var value_sums: array<mat4x4<f32>, CHUNKS>;
  for (var i0 = begin; i0 < asking.count; i0 += 16u) {
    let rows = query_rows(asking, i0);
    let at = spread(rows, Q_STRIDE / 4u, Q_AT / 4u + head * CHUNKS);
    let dy_at = spread(rows, WIDTH, head * CHUNKS);
    let m_at = spread(rows, HEADS, head);
    let ma = transpose(statistics_columns(m_at.a));
    let mb = transpose(statistics_columns(m_at.b));
    let mc = transpose(statistics_columns(m_at.c));
    let md = transpose(statistics_columns(m_at.d));
    let s = scores(keys, at);
    let i = i0 + vec4<u32>(0u, 1u, 2u, 3u);
    let pa = probabilities(keys, s.a, ma, i, asking.count);
    let pb = probabilities(keys, s.b, mb, i + 4u, asking.count);
    let pc = probabilities(keys, s.c, mc, i + 8u, asking.count);
    let pd = probabilities(keys, s.d, md, i + 12u, asking.count);
    let g = weighed_values(keys, dy_at);
    let da = score_gradient(pa, g.a, ma[2]);
    let db = score_gradient(pb, g.b, mb[2]);
    let dc = score_gradient(pc, g.c, mc[2]);
    let dd = score_gradient(pd, g.d, md[2]);
    for (var c = 0u; c < CHUNKS; c += 1u) {
      var values = value_sums[c];
      values += dy_columns(dy_at.a, c) * pa;
      values += dy_columns(dy_at.b, c) * pb;
      values += dy_columns(dy_at.c, c) * pc;
      values += dy_columns(dy_at.d, c) * pd;
      value_sums[c] = values;
    }
    for (var c = 0u; c < CHUNKS; c += 1u) {
      var sums = key_sums[c];
      sums += query_columns(at.a, c) * da;
      sums += query_columns(at.b, c) * db;
      sums += query_columns(at.c, c) * dc;
      sums += query_columns(at.d, c) * dd;
      key_sums[c] = sums;
    }
  }
  for (var r = 0u; r < 4u; r += 1u) {
    if (!keys.own[r]) {
      continue;
    }
    for (var c = 0u; c < CHUNKS; c += 1u) {
      put(keys.at[r] + K_AT / 4u + c, key_sums[c][r] * SCALE);
      put(keys.at[r] + V_AT / 4u + c, value_sums[c][r]);
    }
    if (head == 0u && !PACKED) {
      clear_unused(keys.row[r]);
    }
  }
}

fn put(at: u32, value: vec4<f32>) {
  if (PACKED) {
    dq[at] = value;
  } else {
    dkv[at] = value;
  }
}

// Zeros to columns of kv that no head reads.
fn clear_unused(row: u32) {
  for (var c = 0u; c < KV_STRIDE / 4u; c += 1u) {
    if (!within(c, K_AT) && !within(c, V_AT)) {
      dkv[row * (KV_STRIDE / 4u) + c] = vec4<f32>();
    }
  }
}
