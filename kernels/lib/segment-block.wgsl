// Long segments cut into blocks, one workgroup each, found without a table. A segment of at least BLOCK rows has
// floor(length / BLOCK) blocks of BLOCK rows, counted from its start, and the last one takes the rest as well; a shorter
// segment has none. With offsets o[s] (o[0] = 0), block b of segment s has the number floor(o[s] / BLOCK) + b: no two blocks
// share a number, and floor(rows / BLOCK) numbers suffice, whatever the number of segments.
//
// Proof: o[s + 1] >= o[s] + length, so floor(o[s + 1] / BLOCK) >= floor(o[s] / BLOCK) + floor(length / BLOCK). Therefore
// only the last segment that starts below (number + 1) * BLOCK can have the block of a number.
//
// The kernel defines BLOCK > 0 and binds the offsets as `segments`.

struct Block {
  segment: u32,
  start: u32, // rows of the segment
  end: u32,
  first: u32, // rows of the block
  last: u32,
  home: u32, // number of the segment's first block
  count: u32, // blocks of the segment; 0 where no segment has a block of this number
}

fn find_block(segment_count: u32, number: u32) -> Block {
  var low = 0u;
  var high = segment_count;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (segments[middle] / BLOCK <= number) {
      low = middle;
    } else {
      high = middle;
    }
  }
  let start = segments[low];
  let end = segments[low + 1u];
  let home = start / BLOCK;
  let count = (end - start) / BLOCK;
  if (number - home >= count) {
    return Block(low, start, end, start, start, home, 0u);
  }
  let first = start + (number - home) * BLOCK;
  return Block(low, start, end, first, select(first + BLOCK, end, number - home + 1u == count), home, count);
}
