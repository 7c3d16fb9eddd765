// The unit in which a kernel that only copies reads its rows: single whole numbers. They have a library of their own because a
// shader may flush an f32 with such bits to zero.

alias item = u32;
const ITEM: u32 = 1u;
