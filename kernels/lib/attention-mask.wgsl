// Which keys a query may see, scores as they enter the softmax, and blocks of scores, for attention and its gradient.
//
// A 4x4 matrix of scores has a column per query and a row per key (the gradient of the keys: a column per key).
//
// The kernel that appends this declares its parameters, `bias`, and where positions are found:
//   fn key_position(row: u32) -> u32    original position of a row of kv; called only where HAS_KV_POSITIONS

const CHUNKS: u32 = HEAD_WIDTH / 4u;
const WIDTH: u32 = HEADS * CHUNKS;
const MASKED: f32 = -3.0e38;
const LOWEST: f32 = -1.0e38; // the first running maximum: above MASKED, so that exp(MASKED - maximum) is 0

// The keys of one segment.
struct Keys {
  start: u32, // first row
  count: u32,
}

// Original positions of 4 keys; keys past the end have that of the last one.
fn key_positions(keys: Keys, j: vec4<u32>) -> vec4<u32> {
  if (!HAS_KV_POSITIONS) {
    return j;
  }
  let row = keys.start + min(j, vec4<u32>(keys.count - 1u));
  return vec4<u32>(key_position(row.x), key_position(row.y), key_position(row.z), key_position(row.w));
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
    if (key_position(keys.start + middle) <= position) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

// Scores of 4 pairs as they enter the softmax: scaled, biased, MASKED where the query may not look or the pair is not
// `inside` its segment. `distance` is key position - query position; only CAUSAL and HAS_BIAS ask for it.
fn mask_scores(head: u32, s: vec4<f32>, distance: vec4<i32>, inside: vec4<bool>) -> vec4<f32> {
  var visible = inside;
  var score = s * SCALE;
  if (CAUSAL) {
    visible = visible & (distance <= vec4<i32>(0i));
  }
  if (HAS_BIAS) {
    let k = bias_rows(distance) * HEADS + head;
    score += vec4<f32>(bias[k.x], bias[k.y], bias[k.z], bias[k.w]);
  }
  // A bias of -infinity is a mask as well; max keeps infinities out of the arithmetic.
  return select(vec4<f32>(MASKED), max(score, vec4<f32>(MASKED)), visible);
}

// Rows of the bias by distance.
fn bias_rows(distance: vec4<i32>) -> vec4<u32> {
  return vec4<u32>(clamp(distance, vec4<i32>(-REACH), vec4<i32>(REACH)) + REACH);
}

// Scores of 4 queries at these positions against keys j.
fn mask_tile(keys: Keys, head: u32, position: vec4<u32>, s: mat4x4<f32>, j: vec4<u32>) -> mat4x4<f32> {
  let inside = j < vec4<u32>(keys.count);
  var at = vec4<i32>();
  if (CAUSAL || HAS_BIAS) {
    at = vec4<i32>(key_positions(keys, j));
  }
  let origin = vec4<i32>(position);
  return mat4x4<f32>(
    mask_scores(head, s[0], at - origin.x, inside),
    mask_scores(head, s[1], at - origin.y, inside),
    mask_scores(head, s[2], at - origin.z, inside),
    mask_scores(head, s[3], at - origin.w, inside),
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
