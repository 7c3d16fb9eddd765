// Writes the selected rows of a stretch of a segment in ascending order: every lane counts a run of neighbouring rows, a
// prefix sum gives its place, and it writes its rows.
//
// Needs workgroup-scan.wgsl and radix-select.wgsl; the kernel binds `rows` and `positions`.

struct Selected {
  start: u32, // first row of the segment
  key: u32, // of the k-th largest score
  ties: u32, // how many of the rows that equal it are taken, from the lowest
  first_out: u32, // place of the segment's first selected row
}

// Of the `count` rows from `first` on; `passed` rows of the segment before them are above the k-th score, and equal to it.
// All lanes must call it together, behind a barrier after any earlier scan.
fn write_selected(lane: u32, selected: Selected, first: u32, count: u32, passed: vec2<u32>) {
  let run = (count + WORKGROUP - 1u) / WORKGROUP;
  let from_row = first + min(lane * run, count);
  let to_row = first + min((lane + 1u) * run, count);
  var found = vec2<u32>(0u);
  for (var i = from_row; i < to_row; i += 1u) {
    let key = sortable(score_bits(i));
    found += select(vec2<u32>(0u), vec2<u32>(1u, 0u), key > selected.key);
    found += select(vec2<u32>(0u), vec2<u32>(0u, 1u), key == selected.key);
  }
  var before = passed + workgroup_scan(lane, found);
  for (var i = from_row; i < to_row; i += 1u) {
    let key = sortable(score_bits(i));
    if (key < selected.key) {
      continue;
    }
    let place = selected.first_out + before.x + min(before.y, selected.ties);
    if (key > selected.key) {
      before.x += 1u;
    } else {
      before.y += 1u;
      if (before.y > selected.ties) {
        continue;
      }
    }
    rows[place] = i;
    positions[place] = i - selected.start;
  }
}
