// The multiply-add ceiling of a device, straight-line variant: the same chains as peak-fma.wgsl, with 16 steps a turn written
// out in `let`s.
//
// SwiftShader merges every loop variable under a lane mask once a turn, at about 12 instructions each. Where a turn is short
// that, and not the multiply-add, is what a benchmark of it measures; here it is a small part.
//
//   y[i] = Σ over 12 chains c, which start at c, of x -> fma(x, factor, step) applied ROUNDS times (a multiple of 16)
//
// With factor = step = 1 every number on the way is a whole number below 2^24, so y[i] = 66 + 12 · ROUNDS exactly. Both
// come from the uniform, where no compiler can see them.
//
// Bindings: y [invocations] f32. Limits: none beyond WebGPU's defaults. Source: own.

// --- parameters
const ROUNDS: u32 = 1008u;
const WORKGROUP: u32 = 64u;
// --- end parameters

struct Params {
  factor: f32,
  step: f32,
}

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let m = params.factor;
  let t = params.step;
  var a = 0.0; var b = 1.0; var c = 2.0; var d = 3.0;
  var e = 4.0; var f = 5.0; var g = 6.0; var h = 7.0;
  var i = 8.0; var j = 9.0; var k = 10.0; var l = 11.0;
  for (var round = 0u; round < ROUNDS; round += 16u) {
    let a0 = a; let b0 = b; let c0 = c; let d0 = d; let e0 = e; let f0 = f;
    let g0 = g; let h0 = h; let i0 = i; let j0 = j; let k0 = k; let l0 = l;
    let a1 = fma(a0, m, t); let b1 = fma(b0, m, t); let c1 = fma(c0, m, t); let d1 = fma(d0, m, t);
    let e1 = fma(e0, m, t); let f1 = fma(f0, m, t); let g1 = fma(g0, m, t); let h1 = fma(h0, m, t);
    let i1 = fma(i0, m, t); let j1 = fma(j0, m, t); let k1 = fma(k0, m, t); let l1 = fma(l0, m, t);
    let a2 = fma(a1, m, t); let b2 = fma(b1, m, t); let c2 = fma(c1, m, t); let d2 = fma(d1, m, t);
    let e2 = fma(e1, m, t); let f2 = fma(f1, m, t); let g2 = fma(g1, m, t); let h2 = fma(h1, m, t);
    let i2 = fma(i1, m, t); let j2 = fma(j1, m, t); let k2 = fma(k1, m, t); let l2 = fma(l1, m, t);
    let a3 = fma(a2, m, t); let b3 = fma(b2, m, t); let c3 = fma(c2, m, t); let d3 = fma(d2, m, t);
    let e3 = fma(e2, m, t); let f3 = fma(f2, m, t); let g3 = fma(g2, m, t); let h3 = fma(h2, m, t);
    let i3 = fma(i2, m, t); let j3 = fma(j2, m, t); let k3 = fma(k2, m, t); let l3 = fma(l2, m, t);
    let a4 = fma(a3, m, t); let b4 = fma(b3, m, t); let c4 = fma(c3, m, t); let d4 = fma(d3, m, t);
    let e4 = fma(e3, m, t); let f4 = fma(f3, m, t); let g4 = fma(g3, m, t); let h4 = fma(h3, m, t);
    let i4 = fma(i3, m, t); let j4 = fma(j3, m, t); let k4 = fma(k3, m, t); let l4 = fma(l3, m, t);
    let a5 = fma(a4, m, t); let b5 = fma(b4, m, t); let c5 = fma(c4, m, t); let d5 = fma(d4, m, t);
    let e5 = fma(e4, m, t); let f5 = fma(f4, m, t); let g5 = fma(g4, m, t); let h5 = fma(h4, m, t);
    let i5 = fma(i4, m, t); let j5 = fma(j4, m, t); let k5 = fma(k4, m, t); let l5 = fma(l4, m, t);
    let a6 = fma(a5, m, t); let b6 = fma(b5, m, t); let c6 = fma(c5, m, t); let d6 = fma(d5, m, t);
    let e6 = fma(e5, m, t); let f6 = fma(f5, m, t); let g6 = fma(g5, m, t); let h6 = fma(h5, m, t);
    let i6 = fma(i5, m, t); let j6 = fma(j5, m, t); let k6 = fma(k5, m, t); let l6 = fma(l5, m, t);
    let a7 = fma(a6, m, t); let b7 = fma(b6, m, t); let c7 = fma(c6, m, t); let d7 = fma(d6, m, t);
    let e7 = fma(e6, m, t); let f7 = fma(f6, m, t); let g7 = fma(g6, m, t); let h7 = fma(h6, m, t);
    let i7 = fma(i6, m, t); let j7 = fma(j6, m, t); let k7 = fma(k6, m, t); let l7 = fma(l6, m, t);
    let a8 = fma(a7, m, t); let b8 = fma(b7, m, t); let c8 = fma(c7, m, t); let d8 = fma(d7, m, t);
    let e8 = fma(e7, m, t); let f8 = fma(f7, m, t); let g8 = fma(g7, m, t); let h8 = fma(h7, m, t);
    let i8 = fma(i7, m, t); let j8 = fma(j7, m, t); let k8 = fma(k7, m, t); let l8 = fma(l7, m, t);
    let a9 = fma(a8, m, t); let b9 = fma(b8, m, t); let c9 = fma(c8, m, t); let d9 = fma(d8, m, t);
    let e9 = fma(e8, m, t); let f9 = fma(f8, m, t); let g9 = fma(g8, m, t); let h9 = fma(h8, m, t);
    let i9 = fma(i8, m, t); let j9 = fma(j8, m, t); let k9 = fma(k8, m, t); let l9 = fma(l8, m, t);
    let a10 = fma(a9, m, t); let b10 = fma(b9, m, t); let c10 = fma(c9, m, t); let d10 = fma(d9, m, t);
    let e10 = fma(e9, m, t); let f10 = fma(f9, m, t); let g10 = fma(g9, m, t); let h10 = fma(h9, m, t);
    let i10 = fma(i9, m, t); let j10 = fma(j9, m, t); let k10 = fma(k9, m, t); let l10 = fma(l9, m, t);
    let a11 = fma(a10, m, t); let b11 = fma(b10, m, t); let c11 = fma(c10, m, t); let d11 = fma(d10, m, t);
    let e11 = fma(e10, m, t); let f11 = fma(f10, m, t); let g11 = fma(g10, m, t); let h11 = fma(h10, m, t);
    let i11 = fma(i10, m, t); let j11 = fma(j10, m, t); let k11 = fma(k10, m, t); let l11 = fma(l10, m, t);
    let a12 = fma(a11, m, t); let b12 = fma(b11, m, t); let c12 = fma(c11, m, t); let d12 = fma(d11, m, t);
    let e12 = fma(e11, m, t); let f12 = fma(f11, m, t); let g12 = fma(g11, m, t); let h12 = fma(h11, m, t);
    let i12 = fma(i11, m, t); let j12 = fma(j11, m, t); let k12 = fma(k11, m, t); let l12 = fma(l11, m, t);
    let a13 = fma(a12, m, t); let b13 = fma(b12, m, t); let c13 = fma(c12, m, t); let d13 = fma(d12, m, t);
    let e13 = fma(e12, m, t); let f13 = fma(f12, m, t); let g13 = fma(g12, m, t); let h13 = fma(h12, m, t);
    let i13 = fma(i12, m, t); let j13 = fma(j12, m, t); let k13 = fma(k12, m, t); let l13 = fma(l12, m, t);
    let a14 = fma(a13, m, t); let b14 = fma(b13, m, t); let c14 = fma(c13, m, t); let d14 = fma(d13, m, t);
    let e14 = fma(e13, m, t); let f14 = fma(f13, m, t); let g14 = fma(g13, m, t); let h14 = fma(h13, m, t);
    let i14 = fma(i13, m, t); let j14 = fma(j13, m, t); let k14 = fma(k13, m, t); let l14 = fma(l13, m, t);
    let a15 = fma(a14, m, t); let b15 = fma(b14, m, t); let c15 = fma(c14, m, t); let d15 = fma(d14, m, t);
    let e15 = fma(e14, m, t); let f15 = fma(f14, m, t); let g15 = fma(g14, m, t); let h15 = fma(h14, m, t);
    let i15 = fma(i14, m, t); let j15 = fma(j14, m, t); let k15 = fma(k14, m, t); let l15 = fma(l14, m, t);
    let a16 = fma(a15, m, t); let b16 = fma(b15, m, t); let c16 = fma(c15, m, t); let d16 = fma(d15, m, t);
    let e16 = fma(e15, m, t); let f16 = fma(f15, m, t); let g16 = fma(g15, m, t); let h16 = fma(h15, m, t);
    let i16 = fma(i15, m, t); let j16 = fma(j15, m, t); let k16 = fma(k15, m, t); let l16 = fma(l15, m, t);
    a = a16; b = b16; c = c16; d = d16; e = e16; f = f16;
    g = g16; h = h16; i = i16; j = j16; k = k16; l = l16;
  }
  if (id.x < arrayLength(&y)) {
    y[id.x] = ((a + b) + (c + d)) + ((e + f) + (g + h)) + ((i + j) + (k + l));
  }
}
