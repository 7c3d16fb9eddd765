// A weight matrix of f32, read four elements or one element at a time. weight-f16.wgsl has the same names.

alias weight_vec4 = vec4<f32>;
alias weight_word = f32;

const WEIGHTS_PER_WORD: u32 = 1u;

fn load_weight(v: weight_vec4) -> vec4<f32> {
  return v;
}

// Element `at` of the matrix, which `word`, number at / WEIGHTS_PER_WORD, holds.
fn load_weight_at(word: weight_word, at: u32) -> f32 {
  return word;
}
