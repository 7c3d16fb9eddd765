// The unit in which a kernel reads its rows: single values, for widths that are not multiples of 4.
// item-vec4.wgsl has the same names for widths that are.

alias item = f32;
const ITEM: u32 = 1u;

fn item_sum(v: item) -> f32 {
  return v;
}

fn item_max(v: item) -> f32 {
  return v;
}

fn item_first(v: item) -> f32 {
  return v;
}

fn item_from_vec4(v: vec4<f32>) -> item {
  return v.x;
}

fn item_to_vec4(v: item) -> vec4<f32> {
  return vec4<f32>(v);
}
