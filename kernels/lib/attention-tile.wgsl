// Online softmax of 4 query rows of one head against blocks of 16 keys, shared by the attention variants.
//
// A block's scores are four 4x4 matrices (a column per query): S += K-tile * Q-tile over the head's columns, and the result
// is R = R * shrink + V-tile * P. Every loaded vec4 serves 16 multiply-adds. A column never meets another
// one, so a row's bits do not depend on its neighbours. The result stays in private memory from block to block.
//
// Beside this the kernel appends attention-mask. It declares the parameters and bindings, and how 4 keys are loaded:
//   fn own_keys(j: vec4<u32>) -> vec4<u32>                   the keys this invocation loads
//   fn key_tile(at: vec4<u32>, c: u32) -> mat4x4<f32>        chunk c of 4 keys, a row per key
//   fn value_tile(at: vec4<u32>, c: u32) -> mat4x4<f32>      chunk c of 4 values, a column per value

// The 4 query rows of a tile; the last one is repeated when the segment ends before the tile.
struct Queries {
  head: u32,
  at: vec4<u32>, // where the head's columns of each row start in q
  position: vec4<u32>, // original position of each row in its segment
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
  a = mask_tile(keys, queries.head, queries.position, a, ja);
  b = mask_tile(keys, queries.head, queries.position, b, jb);
  c = mask_tile(keys, queries.head, queries.position, c, jc);
  d = mask_tile(keys, queries.head, queries.position, d, jd);
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
