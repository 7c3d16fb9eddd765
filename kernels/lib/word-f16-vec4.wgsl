// A table of f16, read four elements at a time: rows of a width that is a multiple of 4.

alias word_unit = vec2<u32>;

fn word_index(at: u32) -> u32 {
  return at;
}

fn load_word(unit: word_unit, at: u32) -> item {
  return vec4<f32>(unpack2x16float(unit.x), unpack2x16float(unit.y));
}
