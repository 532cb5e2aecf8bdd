// SPDX-License-Identifier: Apache-2.0
use std::future::Future;
use std::io::{BufRead, Write};
use std::pin::Pin;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

fn clone(_: *const ()) -> RawWaker {
    RawWaker::new(std::ptr::null(), &TABLE)
}
fn nothing(_: *const ()) {}
static TABLE: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, nothing);

type Task = Pin<Box<dyn Future<Output = i64>>>;

#[inline(never)]
fn poll(task: &mut Task) -> Option<i64> {
    let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) };
    match task.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(v) => Some(v),
        Poll::Pending => None,
    }
}

struct Yield(bool);
impl Future for Yield {
    type Output = ();
    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            Poll::Ready(())
        } else {
            self.0 = true;
            Poll::Pending
        }
    }
}

#[inline(never)]
fn step(v: i64) -> i64 {
    v + 1
}

// What is kept while it waits has changed, in the place where it was.
async fn part(a: i64) -> i64 {
    let kept = if cfg!(new) { a * 2 } else { a };
    Yield(false).await;
    step(kept) - if cfg!(new) { a } else { 0 }
}

async fn whole(a: i64) -> i64 {
    let first = part(a).await;
    part(first).await + first * 100
}

#[inline(never)]
fn task(a: i64) -> Task {
    Box::pin(whole(a))
}

fn finish(task: &mut Task) -> i64 {
    loop {
        if let Some(v) = poll(task) {
            return v;
        }
    }
}

fn main() {
    let out = std::io::stdout();
    let mut early = task(3); // waits in the old code when the process is patched
    poll(&mut early);
    writeln!(&out, "READY {}", std::process::id()).unwrap();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "quit" {
            break;
        }
        let want = 405;
        let got = (finish(&mut early), finish(&mut task(3)));
        early = task(3);
        poll(&mut early);
        if got == (want, want) {
            writeln!(&out, "ok").unwrap();
        } else {
            writeln!(&out, "FAIL {:?} instead of {}", got, want).unwrap();
        }
    }
}
