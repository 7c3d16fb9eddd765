// A weight matrix of f16, two elements in a u32, read four elements at a time. unpack2x16float is core WGSL: this needs no
// feature. weight-f32.wgsl has the same names.

alias weight_vec4 = vec2<u32>;

fn load_weight(v: weight_vec4) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
