// Tiles of packed rows that never straddle two segments, found without a table.
//
// With offsets o[0..S] (o[0] = 0, o[S] = rows) and tiles of `tile` rows, base(s) = floor(o[s] / tile) + s is monotone and
// leaves each segment at least ceil(length / tile) tile numbers. Tile t belongs to the last segment with base(s) <= t; its first
// row is o[s] + (t - base(s)) * tile, which may lie past the segment's end: then the tile is empty. floor(rows / tile) + S
// tiles cover every row. tile = 1 maps a row to its segment only when t is that row plus its segment's number: use `segment_of`.
//
// A function cannot take a storage pointer of any binding without a language extension, so each kernel passes offsets
// through its own `fn segment_offset(which: u32, s: u32) -> u32`, where `which` names one of its tables.

struct Tile {
  segment: u32,
  first: u32, // first row of the tile
  end: u32, // end of its segment: the tile is empty when first >= end
}

// The tile t over the segments of table `which`.
fn find_tile(which: u32, segments: u32, tile: u32, t: u32) -> Tile {
  var low = 0u;
  var high = segments;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (segment_offset(which, middle) / tile + middle <= t) {
      low = middle;
    } else {
      high = middle;
    }
  }
  let start = segment_offset(which, low);
  return Tile(low, start + (t - (start / tile + low)) * tile, segment_offset(which, low + 1u));
}

// The segment of one row: the last one that starts at or before it and is not empty.
fn segment_of(which: u32, segments: u32, row: u32) -> u32 {
  var low = 0u;
  var high = segments;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (segment_offset(which, middle) <= row) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}
