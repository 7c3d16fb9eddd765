// What optimisers share: where an element of the flat gradient belongs, and what the gradient is multiplied by.
//
// The flat gradient and the states lie in blocks of 64 elements. A block has a record in `blocks`: the place of its first element in
// `weights`, how many of its elements there are (gradient and states of the others are 0), the group that it belongs to. `groups` holds four numbers a group: the factor
// of its learning rate (0: the group is left as it is, states too), its weight decay, and the corrections of both moments. `settings` begins with the learning rate; its last two numbers are the largest norm
// of the gradient (0: any) and the factor of the gradient. `norm` holds the squared norm of the gradient as it stands.
// The kernel binds blocks, groups, settings, norm, and defines SETTINGS, the length of `settings`.

const BLOCK_ELEMENTS: u32 = 64u;

struct Stretch {
  weight: u32, // place of the first of the four elements in `weights`
  count: u32, // how many of the four there are
  rate: f32,
  decay: f32,
  corrections: vec2<f32>,
}

fn stretch_of(four: u32) -> Stretch {
  let record = blocks[four * 4u / BLOCK_ELEMENTS];
  let within = four * 4u % BLOCK_ELEMENTS;
  let of_group = groups[record.z];
  let count = select(0u, min(record.y - within, 4u), within < record.y && of_group.x != 0.0);
  return Stretch(record.x + within, count, settings[0] * of_group.x, of_group.y, of_group.zw);
}

// Whether a number is finite: exponent bits that are not all ones.
fn is_finite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// The factor of the gradient: its own, and what brings its norm down to the largest (PyTorch's clip_grad_norm_).
fn gradient_factor() -> f32 {
  let most = settings[SETTINGS - 2u];
  let factor = settings[SETTINGS - 1u];
  if (most <= 0.0) {
    return factor;
  }
  return factor * min(1.0, most / (sqrt(norm[0]) * abs(factor) + 1e-6));
}
