// SPDX-License-Identifier: Apache-2.0
use std::io::{BufRead, Write};
use std::panic::{catch_unwind, resume_unwind};

#[inline(never)]
fn thrower(v: i64) -> i64 {
    if v > 10 {
        resume_unwind(Box::new(v));
    }
    v
}

// It changes, and has nothing to clean up: no exception table of its own.
#[inline(never)]
fn through(v: i64) -> i64 {
    let r = thrower(v);
    r + if cfg!(new) { 2 } else { 1 }
}

#[inline(never)]
fn catcher(v: i64) -> i64 {
    catch_unwind(|| through(v)).unwrap_or(-1)
}

fn main() {
    let out = std::io::stdout();
    writeln!(&out, "READY {}", std::process::id()).unwrap();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "quit" {
            break;
        }
        let new = words[1].parse::<i64>().unwrap() >= 2;
        let got = (catcher(3), catcher(30));
        if got == (if new { 5 } else { 4 }, -1) {
            writeln!(&out, "ok").unwrap();
        } else {
            writeln!(&out, "FAIL {:?}", got).unwrap();
        }
    }
}
