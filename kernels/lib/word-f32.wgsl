// A table of f32, read one `item` at a time. word-f16-scalar.wgsl and word-f16-vec4.wgsl have the same names.

alias word_unit = item;

// The unit that holds item `at`.
fn word_index(at: u32) -> u32 {
  return at;
}

fn load_word(unit: word_unit, at: u32) -> item {
  return unit;
}
