// A weight matrix of f16, two elements in a u32, read four elements or one element at a time. unpack2x16float is core WGSL:
// this needs no feature. weight-f32.wgsl has the same names.

alias weight_vec4 = vec2<u32>;
alias weight_word = u32;

const WEIGHTS_PER_WORD: u32 = 2u;

fn load_weight(v: weight_vec4) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}

// Element `at` of the matrix, which `word`, number at / WEIGHTS_PER_WORD, holds.
fn load_weight_at(word: weight_word, at: u32) -> f32 {
  return unpack2x16float(word)[at % 2u];
}
