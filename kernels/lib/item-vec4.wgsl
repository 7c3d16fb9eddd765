// The unit in which a kernel reads its rows: four neighbouring values, for widths that are multiples of 4.
// item-scalar.wgsl has the same names for all other widths.

alias item = vec4<f32>;
const ITEM: u32 = 4u;

fn item_sum(v: item) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}

fn item_max(v: item) -> f32 {
  return max(max(v.x, v.y), max(v.z, v.w));
}

fn item_first(v: item) -> f32 {
  return v.x;
}

fn item_from_vec4(v: vec4<f32>) -> item {
  return v;
}

fn item_to_vec4(v: item) -> vec4<f32> {
  return v;
}
