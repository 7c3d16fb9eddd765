/** @file Cases of matmul. */

import type { CaseTable } from "./case.ts";

export const matmulCases: CaseTable = { stem: "matmul", cases: [] };
