//! Once a body flows, the rewriter asks the allocator for nothing but what a treated value needs for a
//! moment. Counted by an allocator of this binary, so it stands alone.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[path = "../benches/corpus/mod.rs"]
#[allow(dead_code, reason = "shared with the measurements; this takes its part")]
mod corpus;

use corpus::bodies;
use corpus::rules::Rules;

thread_local! {
    /// Calls by this thread: the test harness has threads of its own.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread was given and did not give back.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

fn count(given: usize, taken: usize) {
    // A thread that is being torn down counts no more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + u64::from(given > 0)));
    let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(given).wrapping_sub(taken)));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory of it.
#[allow(unsafe_code, reason = "an allocator can be written in no other way")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's promise about `pointer`, `layout` and `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often three quarters of a megabyte of records ask for memory, after the first quarter brought
/// every buffer to its size; and how many records that is.
fn calls(rules: Rules, chunk: usize) -> (u64, u64) {
    let body = bodies::users(1 << 20);
    let engine = rules.engine(1 << 10);
    let mut out = Vec::with_capacity(64 * 1024);
    let mut stream = engine.begin();
    let (warm, rest) = body.split_at(body.len() / 4);
    for chunk in warm.chunks(chunk) {
        stream.feed(chunk, &mut out);
        out.clear();
    }
    let before = CALLS.get();
    for chunk in rest.chunks(chunk) {
        stream.feed(chunk, &mut out);
        out.clear();
    }
    let records = rest.windows(7).filter(|text| text == b"\"id\":\"u").count();
    (CALLS.get() - before, records as u64)
}

#[test]
fn what_is_kept_and_what_is_removed_asks_for_no_memory() {
    for rules in [Rules::Nothing, Rules::Miss, Rules::Descendants, Rules::Subtree] {
        for chunk in [100, 4096, 16 * 1024] {
            let (calls, records) = calls(rules, chunk);
            assert!(records > 500, "{records}");
            // A buffer may still find its size, where two cuts meet that had not met before.
            assert!(calls <= 2, "{calls} calls: {}, chunks of {chunk}", rules.title());
        }
    }
}

#[test]
fn what_is_treated_asks_for_a_few_small_pieces_a_record() {
    // What is allowed is what it is today; who saves some lowers the figure.
    for (rules, allowed) in [(Rules::Dense, 10), (Rules::DefaultDeny, 15), (Rules::Subjects, 25)] {
        for chunk in [100, 16 * 1024] {
            let (calls, records) = calls(rules, chunk);
            let title = rules.title();
            assert!(calls <= allowed * records, "{calls} calls in {records} records: {title}");
        }
    }
}

#[test]
fn a_stream_holds_little_and_no_more_for_a_longer_body() {
    /// Besides the automaton, which all streams share, and the buffers that have bounds.
    const STATE: usize = 4 * 1024;
    /// Those: a step of input, and names and decisions for some sixty states.
    const BUFFERS: usize = 64 * 1024;
    for rules in [Rules::Nothing, Rules::Descendants, Rules::Dense, Rules::DefaultDeny] {
        let body = bodies::users(1 << 20);
        let engine = rules.engine(1 << 10);
        let mut out = Vec::with_capacity(64 * 1024);
        let before = HELD.get();
        let mut stream = engine.begin();
        for chunk in body.chunks(16 * 1024) {
            stream.feed(chunk, &mut out);
            out.clear();
            let held = size_of_val(&stream) + HELD.get() - before;
            let buffered = stream.buffered();
            let title = rules.title();
            assert!(held - buffered <= STATE, "{held} less {buffered} bytes: {title}");
            assert!(buffered <= BUFFERS, "{buffered} bytes in buffers: {title}");
        }
    }
}
