// What the launches of attention-gradient share: the tables that its first launch leaves, and columns that no head
// reads.
//
// The kernel that appends this declares its parameters, `params` with `segments` and `queries`, and `tables` =
// [q_segments | kv_segments | positions | kv_positions].

fn segment_offset(which: u32, s: u32) -> u32 {
  return tables[which * (params.segments + 1u) + s];
}

fn query_position(row: u32, segment_start: u32) -> u32 {
  if (HAS_POSITIONS) {
    return tables[2u * (params.segments + 1u) + row];
  }
  return row - segment_start;
}

fn key_position(row: u32) -> u32 {
  return tables[2u * (params.segments + 1u) + params.queries + row];
}

// Tiles that lie over the rows of table `which`: kernels/lib/segments.wgsl.
fn tile_count(which: u32, tile: u32) -> u32 {
  return segment_offset(which, params.segments) / tile + params.segments;
}

// Whether chunk c of a row belongs to the HEADS * HEAD_WIDTH columns from `start` on.
fn within(c: u32, start: u32) -> bool {
  return c >= start / 4u && c < start / 4u + WIDTH;
}
