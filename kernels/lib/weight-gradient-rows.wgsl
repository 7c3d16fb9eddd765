// What all variants of matmul-weight-gradient share: the bindings beside dy and x, the rows of a part, which are a layer of the
// grid, and where sums go.
// Needs PARTS and a library `item-*`.

struct Params {
  rows: u32, // R, which are summed over
  height: u32, // N, rows of dw
  width: u32, // K, columns of dw and of x
  stride: u32, // columns of dy, of which N take part
  first_column: u32, // the column of dy that gives row 0 of dw
  sources: u32, // rows of x
  has_gather: u32,
  span: u32, // rows of a part
}

@group(0) @binding(2) var<storage, read> gather: array<u32>;
@group(0) @binding(3) var<storage, read_write> dw: array<item>;
@group(0) @binding(4) var<storage, read_write> partial: array<item>;
@group(0) @binding(5) var<uniform> params: Params;

// The rows of part `part` start and end here.
fn start_of(part: u32) -> u32 {
  return part * params.span;
}

fn end_of(part: u32) -> u32 {
  return min(params.rows, (part + 1u) * params.span);
}

// The row of x that row `row` of dy meets, which must exist. An index past x means none: neither row then takes part, whatever it
// holds.
fn source_of(row: u32) -> u32 {
  var source = row;
  for (var turn = params.has_gather; turn > 0u; turn -= 1u) {
    source = gather[row];
  }
  return source;
}

// A row of x that exists, where `source` may be none.
fn some_source(source: u32) -> u32 {
  return min(source, max(params.sources, 1u) - 1u);
}

// Writes an item of dw, or of part `part` of it: number `at` of row `row`. Both must exist.
fn store(part: u32, row: u32, at: u32, value: item) {
  let items = params.width / ITEM;
  if (PARTS) {
    partial[(part * params.height + row) * items + at] = value;
  } else {
    dw[row * items + at] = value;
  }
}
