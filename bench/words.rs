// SPDX-License-Identifier: Apache-2.0
//! Counts words: a small program in Rust, with the parts of the standard library that most programs have.
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Write};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

#[derive(Debug, Default, Clone, PartialEq)]
struct Tally {
    lines: usize,
    words: HashMap<String, u64>,
}

#[derive(Debug)]
enum Refused {
    Empty,
    Number(std::num::ParseIntError),
}

impl Tally {
    #[inline(never)]
    fn take(&mut self, line: &str) -> Result<usize, Refused> {
        if line.trim().is_empty() {
            return Err(Refused::Empty);
        }
        if let Some(rest) = line.strip_prefix('+') {
            self.lines += rest.trim().parse::<usize>().map_err(Refused::Number)?;
        }
        let mut n = 0;
        for word in line.split_whitespace() {
            *self.words.entry(word.to_lowercase()).or_insert(0) += 1;
            n += 1;
        }
        self.lines += 1;
        Ok(n)
    }

    #[inline(never)]
    fn sorted(&self) -> BTreeMap<u64, Vec<String>> {
        let mut by_count: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (word, count) in &self.words {
            by_count.entry(*count).or_default().push(word.clone());
        }
        by_count.values_mut().for_each(|v| v.sort());
        by_count
    }
}

fn main() -> io::Result<()> {
    let total = Arc::new(Mutex::new(Tally::default()));
    let (send, receive) = mpsc::channel::<String>();
    let shared = Arc::clone(&total);
    let worker = thread::spawn(move || {
        for line in receive {
            if let Err(e) = shared.lock().unwrap().take(&line) {
                eprintln!("refused: {e:?}");
            }
        }
    });
    for line in io::stdin().lock().lines() {
        send.send(line?).ok();
    }
    drop(send);
    worker.join().ok();
    let tally = total.lock().unwrap();
    let mut out = io::stdout().lock();
    for (count, words) in tally.sorted() {
        writeln!(out, "{count:6} {}", words.join(" "))?;
    }
    writeln!(out, "{} lines", tally.lines)
}
