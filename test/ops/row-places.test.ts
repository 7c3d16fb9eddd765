/** @file `row-places` on the device against a search from the front. */

import { rowPlacesCases } from "../../src/cases/row-places.ts";
import { rowPlaces } from "../../src/ops/row-places.ts";
import { rowPlaces as reference } from "../../src/reference/row-places.ts";
import { describeOp } from "./check-case.ts";

describeOp(rowPlaces, reference, rowPlacesCases);
