// The adapter's gradient writes dz and u, rows of units. adapter-no-units.wgsl has the same names where no weights are trained.
// The kernel defines `unit_item`.

const WANTS_UNITS: bool = true;

@group(0) @binding(5) var<storage, read_write> dz: array<unit_item>;
@group(0) @binding(6) var<storage, read_write> u: array<unit_item>;

fn put_units(at: u32, gradient: unit_item, value: unit_item) {
  dz[at] = gradient;
  u[at] = value;
}
