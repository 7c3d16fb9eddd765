// Online softmax of 4 query rows of one head against blocks of 16 keys, shared by the attention variants.
//
// A block's scores are four 4x4 matrices (a column per query): S += K-tile * Q-tile over the head's columns, and the result
// is R = R * shrink + V-tile * P. Every loaded vec4 serves 16 multiply-adds. A column never meets another
// one, so a row's bits do not depend on its neighbours. The result stays in private memory from block to block.
//
// The kernel that appends this declares the parameters and bindings, and how 4 keys are loaded:
//   fn own_keys(j: vec4<u32>) -> vec4<u32>                   the keys this invocation loads
//   fn key_tile(at: vec4<u32>, c: u32) -> mat4x4<f32>        chunk c of 4 keys, a row per key
//   fn value_tile(at: vec4<u32>, c: u32) -> mat4x4<f32>      chunk c of 4 values, a column per value

const CHUNKS: u32 = HEAD_WIDTH / 4u;
const WIDTH: u32 = HEADS * CHUNKS;
const MASKED: f32 = -3.0e38;
const LOWEST: f32 = -1.0e38; // the first running maximum: above MASKED, so that exp(MASKED - maximum) is 0

// The 4 query rows of a tile; the last one is repeated when the segment ends before the tile.
struct Queries {
  head: u32,
  at: vec4<u32>, // where the head's columns of each row start in q
  position: vec4<u32>, // original position of each row in its segment
}

// The keys of one segment.
struct Keys {
  start: u32, // first row
  count: u32,
}

var<private> result: array<mat4x4<f32>, CHUNKS>; // result[c]: columns 4c .. 4c + 3, a column per query
var<private> maximum: vec4<f32>;
var<private> total: vec4<f32>;

fn query_position(row: u32, segment_start: u32) -> u32 {
  if (HAS_POSITIONS) {
    return positions[row];
  }
  return row - segment_start;
}

fn query_tile(head: u32, rows: vec4<u32>, segment_start: u32) -> Queries {
  let position = vec4<u32>(
    query_position(rows.x, segment_start),
    query_position(rows.y, segment_start),
    query_position(rows.z, segment_start),
    query_position(rows.w, segment_start),
  );
  return Queries(head, rows * (Q_STRIDE / 4u) + (Q_AT / 4u + head * CHUNKS), position);
}

// Original positions of 4 keys; keys past the end have that of the last one.
fn key_positions(keys: Keys, j: vec4<u32>) -> vec4<u32> {
  if (!HAS_KV_POSITIONS) {
    return j;
  }
  let row = keys.start + min(j, vec4<u32>(keys.count - 1u));
  return vec4<u32>(kv_positions[row.x], kv_positions[row.y], kv_positions[row.z], kv_positions[row.w]);
}

// How many keys a query at this position may see: all, or in causal order those up to its own position.
fn keys_up_to(keys: Keys, position: u32) -> u32 {
  if (!CAUSAL) {
    return keys.count;
  }
  if (!HAS_KV_POSITIONS) {
    return min(keys.count, position + 1u);
  }
  var low = 0u;
  var high = keys.count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (kv_positions[keys.start + middle] <= position) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

// Scores of one query (s: 4 keys j) as they enter the softmax: scaled, biased, MASKED where the query may not look.
fn mask_scores(keys: Keys, head: u32, s: vec4<f32>, j: vec4<u32>, position: u32) -> vec4<f32> {
  var visible = j < vec4<u32>(keys.count);
  var score = s * SCALE;
  if (CAUSAL || HAS_BIAS) {
    let at = key_positions(keys, j);
    if (CAUSAL) {
      visible = visible & (at <= vec4<u32>(position));
    }
    if (HAS_BIAS) {
      let distance = vec4<i32>(at) - vec4<i32>(i32(position));
      let k = vec4<u32>(clamp(distance, vec4<i32>(-REACH), vec4<i32>(REACH)) + REACH) * HEADS + head;
      score += vec4<f32>(bias[k.x], bias[k.y], bias[k.z], bias[k.w]);
    }
  }
  // A bias of -infinity is a mask as well; max keeps infinities out of the arithmetic.
  return select(vec4<f32>(MASKED), max(score, vec4<f32>(MASKED)), visible);
}

fn mask_tile(keys: Keys, queries: Queries, s: mat4x4<f32>, j: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    mask_scores(keys, queries.head, s[0], j, queries.position.x),
    mask_scores(keys, queries.head, s[1], j, queries.position.y),
    mask_scores(keys, queries.head, s[2], j, queries.position.z),
    mask_scores(keys, queries.head, s[3], j, queries.position.w),
  );
}

fn largest(v: vec4<f32>) -> f32 {
  return max(max(v.x, v.y), max(v.z, v.w));
}

fn column_maxima(s: mat4x4<f32>) -> vec4<f32> {
  return vec4<f32>(largest(s[0]), largest(s[1]), largest(s[2]), largest(s[3]));
}

fn column_sums(p: mat4x4<f32>) -> vec4<f32> {
  return vec4<f32>(1.0) * p;
}

fn exponentials(s: mat4x4<f32>, top: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(exp(s[0] - top.x), exp(s[1] - top.y), exp(s[2] - top.z), exp(s[3] - top.w));
}

// Where the head's columns would start in the rows of keys j, were keys and values at column 0. Keys past the end read the
// last one (and are masked).
fn key_rows(keys: Keys, head: u32, j: vec4<u32>) -> vec4<u32> {
  let row = keys.start + min(own_keys(j), vec4<u32>(keys.count - 1u));
  return row * (KV_STRIDE / 4u) + head * CHUNKS;
}

// Takes keys j0 .. j0 + 15 into the running maximum, total and result.
fn take_block(keys: Keys, queries: Queries, j0: u32) {
  let ja = j0 + vec4<u32>(0u, 1u, 2u, 3u);
  let jb = ja + 4u;
  let jc = ja + 8u;
  let jd = ja + 12u;
  let ra = key_rows(keys, queries.head, ja);
  let rb = key_rows(keys, queries.head, jb);
  let rc = key_rows(keys, queries.head, jc);
  let rd = key_rows(keys, queries.head, jd);
  var a = mat4x4<f32>();
  var b = mat4x4<f32>();
  var c = mat4x4<f32>();
  var d = mat4x4<f32>();
  for (var i = 0u; i < CHUNKS; i += 1u) {
    let rows = mat4x4<f32>(q[queries.at.x + i], q[queries.at.y + i], q[queries.at.z + i], q[queries.at.w + i]);
    a += key_tile(ra + K_AT / 4u, i) * rows;
    b += key_tile(rb + K_AT / 4u, i) * rows;
    c += key_tile(rc + K_AT / 4u, i) * rows;
    d += key_tile(rd + K_AT / 4u, i) * rows;
  }
  a = mask_tile(keys, queries, a, ja);
  b = mask_tile(keys, queries, b, jb);
  c = mask_tile(keys, queries, c, jc);
  d = mask_tile(keys, queries, d, jd);
  let top = max(maximum, max(max(column_maxima(a), column_maxima(b)), max(column_maxima(c), column_maxima(d))));
  let shrink = exp(maximum - top);
  a = exponentials(a, top);
  b = exponentials(b, top);
  c = exponentials(c, top);
  d = exponentials(d, top);
  maximum = top;
  total = total * shrink + ((column_sums(a) + column_sums(b)) + (column_sums(c) + column_sums(d)));
  for (var i = 0u; i < CHUNKS; i += 1u) {
    let old = result[i];
    var sum = mat4x4<f32>(old[0] * shrink.x, old[1] * shrink.y, old[2] * shrink.z, old[3] * shrink.w);
    sum += value_tile(ra + V_AT / 4u, i) * a;
    sum += value_tile(rb + V_AT / 4u, i) * b;
    sum += value_tile(rc + V_AT / 4u, i) * c;
    sum += value_tile(rd + V_AT / 4u, i) * d;
    result[i] = sum;
  }
}

// Divides by the totals and writes the rows that are not repetitions; `any` is false for a tile past the segment's end.
fn write_rows(head: u32, rows: vec4<u32>, any: bool) {
  let inverse = 1.0 / max(total, vec4<f32>(1e-30)); // a total is at least 1, but 0 where there was no key: zeros
  let at = rows * WIDTH + head * CHUNKS;
  if (!any) {
    return;
  }
  for (var i = 0u; i < CHUNKS; i += 1u) {
    let sum = result[i];
    y[at.x + i] = sum[0] * inverse.x;
    if (rows.y > rows.x) {
      y[at.y + i] = sum[1] * inverse.y;
    }
    if (rows.z > rows.y) {
      y[at.z + i] = sum[2] * inverse.z;
    }
    if (rows.w > rows.z) {
      y[at.w + i] = sum[3] * inverse.w;
    }
  }
}
