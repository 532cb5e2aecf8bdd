// SPDX-License-Identifier: Apache-2.0
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

// Which variant it is stands where a text has its capacity.
enum Word {
    Text(String),
    Go,
    End,
    #[cfg(new)]
    Stop,
}

#[inline(never)]
fn make(i: u32) -> Word {
    match i {
        0 => Word::Text(String::from("text")),
        1 => Word::Go,
        2 => Word::End,
        #[cfg(new)]
        _ => Word::Stop,
        #[cfg(not(new))]
        _ => Word::End,
    }
}

static TEXT: AtomicU64 = AtomicU64::new(0);
static GONE: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn count(word: &Word) {
    match word {
        Word::Text(text) => TEXT.fetch_add(text.len() as u64, Relaxed),
        Word::Go => GONE.fetch_add(100, Relaxed),
        Word::End => {
            GONE.fetch_add(20, Relaxed);
            ENDED.fetch_xor(300, Relaxed)
        }
        #[cfg(new)]
        Word::Stop => ENDED.fetch_add(7, Relaxed),
    };
}

fn main() {
    let out = std::io::stdout();
    let words = vec![make(0), make(1), make(2)]; // in the old numbers when the process is patched
    writeln!(&out, "READY {}", std::process::id()).unwrap();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        if line == "quit" {
            break;
        }
        words.iter().for_each(count);
        let got = (TEXT.swap(0, Relaxed), GONE.swap(0, Relaxed), ENDED.swap(0, Relaxed));
        count(&make(3));
        let more = (GONE.swap(0, Relaxed), ENDED.swap(0, Relaxed));
        if got == (4, 120, 300) && more == (if line == "check 1" { (20, 300) } else { (0, 7) }) {
            writeln!(&out, "ok").unwrap();
        } else {
            writeln!(&out, "FAIL {:?} {:?}", got, more).unwrap();
        }
    }
}
