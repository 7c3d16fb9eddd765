// What the adapter's gradient knows of a tile of rows, in one buffer instead of the three tables it is made of: with them, no launch
// of all outputs would do with the 8 storage buffers that every device has. adapter-gradient.table.wgsl writes it.

struct AdapterTile {
  first: u32, // first row of the tile
  end: u32, // end of its segment: the tile is empty when first >= end
  slot: u32, // that the segment names, 0 for none
  width: u32, // active width; 0: no adapter
  activation: u32,
  scale: f32,
  trained: u32, // 1 where the slot is the one whose dz and u are wanted
  unused: u32,
}
