// The adapter's gradient without dz and u, and without buffers for them. adapter-output-units.wgsl has the same names where weights
// are trained.

const WANTS_UNITS: bool = false;

fn put_units(at: u32, gradient: unit_item, value: unit_item) {}
