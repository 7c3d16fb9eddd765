// Online softmax of 4 query rows of one head against blocks of 16 keys, shared by the attention variants.
//
// A block's scores are four 4x4 matrices (a column per query): S += K-tile * Q-tile over the head's columns, and the result
// is R = R * shrink + V-tile * P. Every loaded vec4 serves 16 multiply-adds. A column never meets another
// one, so a row's bits do not depend on its neighbours. The result stays in private memory from block to block.
//
// The kernel that appends this declares the parameters and bindings, and how 4 keys are loaded:
//   fn own_keys(j: vec4<u32>) -> vec4<u32>                                      the keys this invocation loads
//   fn key_tile(from_prefix: bool, at: vec4<u32>, c: u32) -> mat4x4<f32>        chunk c of 4 keys, a row per key
//   fn value_tile(from_prefix: bool, at: vec4<u32>, c: u32) -> mat4x4<f32>      chunk c of 4 values, a column per value

const CHUNKS: u32 = HEAD_WIDTH / 4u;
const WIDTH: u32 = HEADS * CHUNKS;
const PREFIX_BLOCKS: u32 = (PREFIX + 15u) / 16u;
const MASKED: f32 = -3.0e38;
const LOWEST: f32 = -1.0e38; // the first running maximum: above MASKED, so that exp(MASKED - maximum) is 0

// The 4 query rows of a tile; the last one is repeated when the segment ends before the tile.
struct Queries {
  head: u32,
  at: vec4<u32>, // where the head's columns of each row start in q
  position: vec4<u32>, // original position of each row in its segment
}

// The keys of one segment, or of the prefix.
struct Keys {
  from_prefix: bool,
  start: u32, // first row
  count: u32,
}

var<private> result: array<mat4x4<f32>, CHUNKS>; // result[c]: columns 4c .. 4c + 3, a column per query
var<private> maximum: vec4<f32>;
var<private> total: vec4<f32>;

fn query_tile(head: u32, rows: vec4<u32>, segment_start: u32) -> Queries {
  var position = rows - segment_start;
  if (HAS_POSITIONS) {
    position = vec4<u32>(positions[rows.x], positions[rows.y], positions[rows.z], positions[rows.w]);
  }
  return Queries(head, rows * (Q_STRIDE / 4u) + (Q_AT / 4u + head * CHUNKS), position);
}

// Scores of one query (s: 4 keys j) as they enter the softmax: scaled, biased, MASKED where the query may not look.
fn mask_scores(keys: Keys, head: u32, s: vec4<f32>, j: vec4<u32>, position: u32) -> vec4<f32> {
  var visible = j < vec4<u32>(keys.count);
  var score = s * SCALE;
  if ((CAUSAL || HAS_BIAS) && !keys.from_prefix) {
    var at = j;
    if (HAS_POSITIONS && KEYS_SELECTED) {
      let row = keys.start + min(j, vec4<u32>(keys.count - 1u));
      at = vec4<u32>(positions[row.x], positions[row.y], positions[row.z], positions[row.w]);
    }
    if (CAUSAL) {
      visible = visible & (at <= vec4<u32>(position));
    }
    if (HAS_BIAS) {
      let k = (head * BIAS_SIZE + min(position, BIAS_SIZE - 1u)) * BIAS_SIZE + min(at, vec4<u32>(BIAS_SIZE - 1u));
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
  return row * select(KV_STRIDE / 4u, WIDTH, keys.from_prefix) + head * CHUNKS;
}

// Takes keys j0 .. j0 + 15 into the running maximum, total and result.
fn take_block(keys: Keys, queries: Queries, j0: u32) {
  let ja = j0 + vec4<u32>(0u, 1u, 2u, 3u);
  let jb = ja + 4u;
  let jc = ja + 8u;
  let jd = ja + 12u;
  let from_prefix = PREFIX > 0u && keys.from_prefix;
  // In kv the values stand beside the keys, in prefix PREFIX rows further on.
  let key_at = select(K_AT / 4u, 0u, from_prefix);
  let value_at = select(V_AT / 4u, PREFIX * WIDTH, from_prefix);
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
    a += key_tile(from_prefix, ra + key_at, i) * rows;
    b += key_tile(from_prefix, rb + key_at, i) * rows;
    c += key_tile(from_prefix, rc + key_at, i) * rows;
    d += key_tile(from_prefix, rd + key_at, i) * rows;
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
    sum += value_tile(from_prefix, ra + value_at, i) * a;
    sum += value_tile(from_prefix, rb + value_at, i) * b;
    sum += value_tile(from_prefix, rc + value_at, i) * c;
    sum += value_tile(from_prefix, rd + value_at, i) * d;
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
