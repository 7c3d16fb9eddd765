// Sums of table rows: y[r] = base[r] + word[ids[r]] + position[r - start + offset] + type_table[types[r]], each term
// optional, start being the first row of r's segment. One workgroup per row, so that the look-ups are done once a row.
// An index past the end of its table adds nothing.
//
// ids? [R], word? [V, D] (f32, or f16 as u32 words), base? [R, D], position? [P, D], types? [R], type_table? [T, D],
// segments [S + 1] -> y [R, D].  Eight storage buffers, WebGPU's default limit.
// lib: segments item-scalar|item-vec4 word-f32|word-f16-scalar|word-f16-vec4
// --- parameters
const WIDTH: u32 = 8u;
const WORDS: u32 = 0u; // V, 0 where there is no such table
const POSITIONS: u32 = 0u; // P, likewise
const TYPES: u32 = 0u; // T, likewise
const HAS_BASE: bool = false;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  rows: u32,
  segments: u32,
  position_offset: u32,
}

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> word: array<word_unit>;
@group(0) @binding(2) var<storage, read> base: array<item>;
@group(0) @binding(3) var<storage, read> position: array<item>;
@group(0) @binding(4) var<storage, read> types: array<u32>;
@group(0) @binding(5) var<storage, read> type_table: array<item>;
@group(0) @binding(6) var<storage, read> segments: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<item>;
@group(0) @binding(8) var<uniform> params: Params;

fn segment_offset(which: u32, s: u32) -> u32 {
  return segments[s];
}

const ITEMS: u32 = WIDTH / ITEM; // of a row

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) {
    return;
  }
  var word_row = WORDS;
  var position_row = POSITIONS;
  var type_row = TYPES;
  if (WORDS > 0u) {
    word_row = ids[row];
  }
  if (POSITIONS > 0u) {
    position_row = row - segments[segment_of(0u, params.segments, row)] + params.position_offset;
  }
  if (TYPES > 0u) {
    type_row = types[row];
  }
  for (var column = lane; column < ITEMS; column += WORKGROUP) {
    var value = item();
    if (HAS_BASE) {
      value = base[row * ITEMS + column];
    }
    if (word_row < WORDS) {
      let at = word_row * ITEMS + column;
      value += load_word(word[word_index(at)], at);
    }
    if (position_row < POSITIONS) {
      value += position[position_row * ITEMS + column];
    }
    if (type_row < TYPES) {
      value += type_table[type_row * ITEMS + column];
    }
    y[row * ITEMS + column] = value;
  }
}
