// SPDX-License-Identifier: Apache-2.0
use std::cell::Cell;
use std::io::{BufRead, Write};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicI64, Ordering};

static CALLS: AtomicI64 = AtomicI64::new(0);
static DROPPED: AtomicI64 = AtomicI64::new(0);

struct Guard<'a>(&'a Cell<i64>);
impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

trait Shape {
    fn area(&self) -> i64;
}
struct Square(i64);
struct Line(i64);
impl Shape for Square {
    #[inline(never)]
    fn area(&self) -> i64 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        if cfg!(new) { self.0 * self.0 + 1 } else { self.0 * self.0 }
    }
}
impl Shape for Line {
    #[inline(never)]
    fn area(&self) -> i64 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        self.0
    }
}

#[inline(never)]
fn limit(v: i64, cell: &Cell<i64>) -> i64 {
    let _g = Guard(cell);
    if v > if cfg!(new) { 50 } else { 100 } {
        std::panic::resume_unwind(Box::new(v));
    }
    v
}

#[inline(never)]
fn attempt(v: i64) -> i64 {
    let cell = Cell::new(0);
    let r = catch_unwind(AssertUnwindSafe(|| limit(v, &cell)));
    match r {
        Ok(v) => v,
        Err(_) => -cell.get(),
    }
}

#[inline(never)]
fn describe(v: i64) -> String {
    format!("{}={}", if cfg!(new) { "value" } else { "v" }, v)
}

#[inline(never)]
fn check(version: i64, shapes: &[Box<dyn Shape>]) -> Result<(), String> {
    let new = version >= 2;
    let want: i64 = if new { 10 } else { 9 };
    if shapes[0].area() != want || shapes[1].area() != 4 {
        return Err(format!("areas {} {}", shapes[0].area(), shapes[1].area()));
    }
    let got = (attempt(10), attempt(70), attempt(200));
    if got != (10, if new { -1 } else { 70 }, -1) {
        return Err(format!("attempts {:?}", got));
    }
    let text = describe(5);
    if text != if new { "value=5" } else { "v=5" } {
        return Err(format!("text {}", text));
    }
    Ok(())
}

fn main() {
    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Square(3)), Box::new(Line(4))];
    let out = std::io::stdout();
    writeln!(&out, "READY {}", std::process::id()).unwrap();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "quit" {
            break;
        }
        match check(words[1].parse().unwrap(), &shapes) {
            Ok(()) => writeln!(&out, "ok").unwrap(),
            Err(e) => writeln!(&out, "FAIL {}", e).unwrap(),
        }
    }
    if DROPPED.load(Ordering::Relaxed) > CALLS.load(Ordering::Relaxed) * 10 {
        std::process::exit(1);
    }
}
