// The gradient of 4 query rows of one head against blocks of 16 keys, shared by the variants of the second launch of
// attention-gradient.
//
// A block's scores are four 4x4 matrices (a column per query): S += K-tile * Q-tile and dP += V-tile * dY-tile over the
// head's columns, and the gradient is G += K-tileᵀ * dS. A column never meets another one, so a row's bits do not
// depend on its neighbours. The gradient stays in private memory from block to block.
//
// Beside this the kernel appends attention-mask and attention-gradient-rows. It declares the parameters and bindings,
// and how 4 keys are loaded:
//   fn own_keys(j: vec4<u32>) -> vec4<u32>                   the keys this invocation loads
//   fn key_columns(at: vec4<u32>, c: u32) -> mat4x4<f32>     chunk c of 4 rows of kv, a column per row

// The 4 query rows of a tile; the last one is repeated when the segment ends before the tile.
struct Queries {
  head: u32,
  row: vec4<u32>,
  at: vec4<u32>, // where the head's columns of each row start in q
  dy_at: vec4<u32>, // the same in dy
  position: vec4<u32>, // original position of each row in its segment
  own: vec4<bool>, // rows that are not repetitions
}

var<private> gradient: array<mat4x4<f32>, CHUNKS>; // gradient[c]: columns 4c .. 4c + 3, a column per query
var<private> maximum: vec4<f32>;
var<private> total: vec4<f32>;
var<private> weighted: vec4<f32>; // dy · y of each row

fn query_tile(head: u32, tile: Tile, first: u32) -> Queries {
  let wanted = first + vec4<u32>(0u, 1u, 2u, 3u);
  let row = min(wanted, vec4<u32>(tile.end - 1u));
  let start = segment_offset(0u, tile.segment);
  let position = vec4<u32>(
    query_position(row.x, start),
    query_position(row.y, start),
    query_position(row.z, start),
    query_position(row.w, start),
  );
  let at = row * (Q_STRIDE / 4u) + (Q_AT / 4u + head * CHUNKS);
  return Queries(head, row, at, row * WIDTH + head * CHUNKS, position, wanted < vec4<u32>(tile.end));
}

// Where the head's columns would start in the rows of keys j, were keys and values at column 0. Keys past the end read
// the last one (and are masked).
fn key_rows(keys: Keys, head: u32, j: vec4<u32>) -> vec4<u32> {
  let row = keys.start + min(own_keys(j), vec4<u32>(keys.count - 1u));
  return row * (KV_STRIDE / 4u) + head * CHUNKS;
}

// Four 4x4 matrices: 16 keys and 4 queries.
struct Block {
  a: mat4x4<f32>,
  b: mat4x4<f32>,
  c: mat4x4<f32>,
  d: mat4x4<f32>,
}

// Masked scores of the queries against keys j0 .. j0 + 15.
fn scores(keys: Keys, queries: Queries, j0: u32) -> Block {
  let ja = j0 + vec4<u32>(0u, 1u, 2u, 3u);
  let ra = key_rows(keys, queries.head, ja) + K_AT / 4u;
  let rb = key_rows(keys, queries.head, ja + 4u) + K_AT / 4u;
  let rc = key_rows(keys, queries.head, ja + 8u) + K_AT / 4u;
  let rd = key_rows(keys, queries.head, ja + 12u) + K_AT / 4u;
  var a = mat4x4<f32>();
  var b = mat4x4<f32>();
  var c = mat4x4<f32>();
  var d = mat4x4<f32>();
  for (var i = 0u; i < CHUNKS; i += 1u) {
    let rows = mat4x4<f32>(q[queries.at.x + i], q[queries.at.y + i], q[queries.at.z + i], q[queries.at.w + i]);
    a += transpose(key_columns(ra, i)) * rows;
    b += transpose(key_columns(rb, i)) * rows;
    c += transpose(key_columns(rc, i)) * rows;
    d += transpose(key_columns(rd, i)) * rows;
  }
  return Block(
    mask_tile(keys, queries.head, queries.position, a, ja),
    mask_tile(keys, queries.head, queries.position, b, ja + 4u),
    mask_tile(keys, queries.head, queries.position, c, ja + 8u),
    mask_tile(keys, queries.head, queries.position, d, ja + 12u),
  );
}

// Takes keys j0 .. j0 + 15 into the running maximum and total.
fn count_block(keys: Keys, queries: Queries, j0: u32) {
  let s = scores(keys, queries, j0);
  let top = max(
    maximum,
    max(max(column_maxima(s.a), column_maxima(s.b)), max(column_maxima(s.c), column_maxima(s.d))),
  );
  let a = column_sums(exponentials(s.a, top));
  let b = column_sums(exponentials(s.b, top));
  let c = column_sums(exponentials(s.c, top));
  let d = column_sums(exponentials(s.d, top));
  total = total * exp(maximum - top) + ((a + b) + (c + d));
  maximum = top;
}

// Gives the rows' maxima and inverse totals to the launch of the keys, and to the blocks that follow.
fn write_statistics(queries: Queries) {
  total = 1.0 / max(total, vec4<f32>(1e-30)); // a total is at least 1, but 0 where there was no key
  let at = queries.row * HEADS + queries.head;
  for (var r = 0u; r < 4u; r += 1u) {
    let known = statistics[at[r]];
    weighted[r] = known.z;
    if (queries.own[r]) {
      statistics[at[r]] = vec4<f32>(maximum[r], total[r], known.z, known.w);
    }
  }
}

// The gradient of scores s of which that of the probabilities is g.
fn score_gradient(s: mat4x4<f32>, g: mat4x4<f32>) -> mat4x4<f32> {
  let e = exponentials(s, maximum);
  return mat4x4<f32>(
    e[0] * total.x * (g[0] - weighted.x),
    e[1] * total.y * (g[1] - weighted.y),
    e[2] * total.z * (g[2] - weighted.z),
    e[3] * total.w * (g[3] - weighted.w),
  );
}

// Takes keys j0 .. j0 + 15 into the gradient of the queries and of the bias.
fn take_block(keys: Keys, queries: Queries, part: u32, j0: u32) {
  let s = scores(keys, queries, j0);
  let ja = j0 + vec4<u32>(0u, 1u, 2u, 3u);
  let ra = key_rows(keys, queries.head, ja);
  let rb = key_rows(keys, queries.head, ja + 4u);
  let rc = key_rows(keys, queries.head, ja + 8u);
  let rd = key_rows(keys, queries.head, ja + 12u);
  var a = mat4x4<f32>();
  var b = mat4x4<f32>();
  var c = mat4x4<f32>();
  var d = mat4x4<f32>();
  for (var i = 0u; i < CHUNKS; i += 1u) {
    let at = queries.dy_at + i;
    let rows = mat4x4<f32>(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
    a += transpose(key_columns(ra + V_AT / 4u, i)) * rows;
    b += transpose(key_columns(rb + V_AT / 4u, i)) * rows;
    c += transpose(key_columns(rc + V_AT / 4u, i)) * rows;
    d += transpose(key_columns(rd + V_AT / 4u, i)) * rows;
  }
  a = score_gradient(s.a, a);
  b = score_gradient(s.b, b);
  c = score_gradient(s.c, c);
  d = score_gradient(s.d, d);
  if (WANTS_BIAS) {
    var ds = array<mat4x4<f32>, 4>(a, b, c, d);
    for (var t = 0u; t < 4u; t += 1u) {
      add_to_bias(keys, queries, part, ds[t], ja + 4u * t);
    }
  }
  if (!WANTS_QUERIES) {
    return;
  }
  for (var i = 0u; i < CHUNKS; i += 1u) {
    var sum = gradient[i];
    sum += key_columns(ra + K_AT / 4u, i) * a;
    sum += key_columns(rb + K_AT / 4u, i) * b;
    sum += key_columns(rc + K_AT / 4u, i) * c;
    sum += key_columns(rd + K_AT / 4u, i) * d;
    gradient[i] = sum;
  }
}

// Goes twice through the keys that the tile's last row sees: for the statistics, then for what is wanted.
fn query_tile_gradient(keys: Keys, queries: Queries, seen: u32, part: u32) {
  maximum = vec4<f32>(LOWEST);
  for (var j = 0u; j < seen; j += 16u) {
    count_block(keys, queries, j);
  }
  write_statistics(queries);
  if (WANTS_QUERIES || WANTS_BIAS) {
    for (var j = 0u; j < seen; j += 16u) {
      take_block(keys, queries, part, j);
    }
  }
  if (WANTS_QUERIES) {
    write_rows(queries);
  }
}

fn clear_bias_part(part: u32) {
  let distances = u32(2i * REACH + 1i);
  for (var k = 0u; k < distances; k += 1u) {
    dbias_parts[part * distances + k] = 0.0;
  }
}

// Adds the gradients of scores of 4 queries against keys j to the tile's own part: nobody else writes there.
fn add_to_bias(keys: Keys, queries: Queries, part: u32, ds: mat4x4<f32>, j: vec4<u32>) {
  let at = vec4<i32>(key_positions(keys, j));
  let start = part * u32(2i * REACH + 1i);
  for (var r = 0u; r < 4u; r += 1u) {
    if (!queries.own[r]) {
      continue;
    }
    let k = start + bias_rows(at - i32(queries.position[r]));
    let column = ds[r];
    dbias_parts[k.x] += column.x;
    dbias_parts[k.y] += column.y;
    dbias_parts[k.z] += column.z;
    dbias_parts[k.w] += column.w;
  }
}

// Writes the rows that are not repetitions, and zeros to columns of q that no head reads.
fn write_rows(queries: Queries) {
  for (var r = 0u; r < 4u; r += 1u) {
    if (!queries.own[r]) {
      continue;
    }
    for (var i = 0u; i < CHUNKS; i += 1u) {
      dq[queries.at[r] + i] = gradient[i][r] * SCALE;
    }
    if (queries.head > 0u) {
      continue;
    }
    for (var c = 0u; c < Q_STRIDE / 4u; c += 1u) {
      if (!within(c, Q_AT) && !(PACKED && (within(c, K_AT) || within(c, V_AT)))) {
        dq[queries.row[r] * (Q_STRIDE / 4u) + c] = vec4<f32>();
      }
    }
  }
}
