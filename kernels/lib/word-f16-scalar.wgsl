// A table of f16, two tightly packed elements in a u32, read one element at a time: rows of any width.

alias word_unit = u32;

fn word_index(at: u32) -> u32 {
  return at / 2u;
}

fn load_word(unit: word_unit, at: u32) -> item {
  return unpack2x16float(unit)[at % 2u];
}
