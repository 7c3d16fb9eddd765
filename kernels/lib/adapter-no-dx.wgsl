// The adapter's gradient without dx, and without a buffer for it. adapter-output-dx.wgsl has the same names where it is wanted.

const WANTS_DX: bool = false;

fn put_dx(at: u32, value: dx_item) {}
