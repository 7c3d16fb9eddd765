// The adapter's gradient writes dx. adapter-no-dx.wgsl has the same names where it is not wanted. The kernel defines `dx_item`.

const WANTS_DX: bool = true;

@group(0) @binding(4) var<storage, read_write> dx: array<dx_item>;

fn put_dx(at: u32, value: dx_item) {
  dx[at] = value;
}
