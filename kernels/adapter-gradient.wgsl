// Way back through a bottleneck adapter, portable variant.
// z = x Wdᵀ + cd, du = scale * (dy Wu), dz = du * act'(z), dx = dz Wd (+ dy with SKIP), u = scale * act(z), in one launch (MATHS
// §2.2), weights, width, activation and scale from the slot of a bank that each segment names.
//
// Shapes: x, dx [R, WIDTH]; dy [R, COLUMNS]; dz, u [R, MAX_WIDTH]; bank [slots, STRIDE] (f32, or f16 as u32 words), a slot being
// down [MAX_WIDTH, WIDTH], up [OUT_WIDTH, MAX_WIDTH], down_bias [MAX_WIDTH], up_bias [OUT_WIDTH]; table [tiles], the rows of every
// tile and what its slot is (kernels/lib/adapter-tile-table.wgsl). Units from the active width b on are never used, whatever the
// slot holds there. b = 0 and no slot: dx = 0 (dy with SKIP). dz and u are 0 in units from b on and in tiles that are not trained.
//
// One invocation computes 4 rows of one segment, the bottleneck in private memory (kernels/lib/adapter-gradient-tile.wgsl).
//
// Limits: 4 storage buffers and up to 3 for outputs, no workgroup memory, WORKGROUP invocations per workgroup.
// lib: adapter-tile-table activation activation-gradient adapter-gradient-tile weight-f32|weight-f16 adapter-output-dx|adapter-no-dx adapter-output-units|adapter-no-units

// --- parameters
const WIDTH: u32 = 16u; // of x; multiple of 4
const MAX_WIDTH: u32 = 8u; // multiple of 4
const OUT_WIDTH: u32 = 16u; // rows of up; multiple of 4
const COLUMNS: u32 = 16u; // of dy; multiple of 4
const STRIDE: u32 = 280u; // elements of a slot, a multiple of 4
const SKIP: bool = false; // WIDTH = COLUMNS
const WORKGROUP: u32 = 4u;
// --- end parameters

struct Params {
  tiles: u32,
  first_column: u32, // the row of up that gave column 0; multiple of 4
}

alias dx_item = vec4<f32>;
alias unit_item = vec4<f32>;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bank: array<weight_vec4>;
@group(0) @binding(3) var<storage, read> table: array<AdapterTile>;
@group(0) @binding(7) var<uniform> params: Params;

fn own_weight_rows(j: u32, last: u32) -> vec4<u32> {
  return min(j + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
}

fn weight_rows(at: vec4<u32>, c: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    load_weight(bank[at.x + c]),
    load_weight(bank[at.y + c]),
    load_weight(bank[at.z + c]),
    load_weight(bank[at.w + c]),
  );
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (wid.x + wid.y * groups.x) * WORKGROUP + lane;
  if (index >= params.tiles) {
    return;
  }
  let tile = table[index];
  if (tile.first >= tile.end) {
    return;
  }
  let rows = min(tile.first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(tile.end - 1u));
  go_back(tile, rows, min(4u, tile.end - tile.first));
}
