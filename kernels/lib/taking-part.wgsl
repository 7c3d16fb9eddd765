// Whether an element takes part in a mean of losses: not with the label 0xffffffff, nor with a target that is not a number. The
// kernel defines MASK (0 all take part, 1 labels tell, 2 targets tell) and binds `labels` and `targets` as bits.

const NO_LABEL: u32 = 0xffffffffu;

fn takes_part(i: u32) -> bool {
  if (MASK == 1u) {
    return labels[i] != NO_LABEL;
  }
  if (MASK == 2u) {
    return !is_nan(targets[i]);
  }
  return true;
}
