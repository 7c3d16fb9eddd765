// A weight matrix of f32, read four elements at a time. weight-f16.wgsl has the same names.

alias weight_vec4 = vec4<f32>;

fn load_weight(v: weight_vec4) -> vec4<f32> {
  return v;
}
