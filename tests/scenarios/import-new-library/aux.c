/* SPDX-License-Identifier: Apache-2.0 */
int aux_limit(int v) { return v > 10 ? 10 : v; }
