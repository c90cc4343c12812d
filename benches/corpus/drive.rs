//! The way through the rewriter. Whoever measures goes through [`Engine::feed`], so that a change of
//! the protocol changes this file alone.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use tamis::minimize::{
    Finish, JsonLimits, JsonMinimizer, Located, Minimizer, Need, Question, Treatments, Verdict,
};
use tamis::policy::automaton::Automaton;
use tamis::terms::RefusalReason;

use super::bodies;

/// What a socket hands over at a time, where nothing else is said.
pub(crate) const CHUNK: usize = 16 * 1024;

/// Compiled rules, and the ids of those whose elements are released.
pub(crate) struct Engine {
    automaton: Arc<Automaton>,
    treatments: Treatments,
    released: HashSet<String>,
    /// Between two bodies, as the gateway keeps it.
    idle: RefCell<Option<JsonMinimizer>>,
}

impl Engine {
    pub(crate) fn new(
        automaton: Arc<Automaton>,
        treatments: Treatments,
        released: HashSet<String>,
    ) -> Self {
        Self { automaton, treatments, released, idle: RefCell::default() }
    }

    fn minimizer(&self) -> JsonMinimizer {
        let limits = JsonLimits::default();
        let (automaton, treatments) = (self.automaton.clone(), self.treatments.clone());
        match self.idle.take() {
            Some(mut idle) => {
                idle.restart(automaton, treatments, false, limits);
                idle
            }
            None => JsonMinimizer::new(automaton, treatments, false, limits),
        }
    }

    /// The verdict of a register that is all in memory.
    fn judge(&self, question: &Question) -> Verdict {
        let known = question.subjects.iter().all(|(_, located)| match located {
            Located::One(id) => self.released.contains(id.expose().as_ref()),
            Located::Many(_) | Located::Ambiguous | Located::Unfit | Located::Nothing => false,
        });
        if known {
            Verdict::Release(self.treatments.clone())
        } else {
            Verdict::Drop(RefusalReason::ConsentMissing)
        }
    }

    /// Begins a body.
    pub(crate) fn begin(&self) -> Stream<'_> {
        Stream { engine: self, minimizer: self.minimizer() }
    }

    /// Rewrites a body, set-up included, and throws the output away as it comes, as on a socket.
    /// Returns its length.
    pub(crate) fn rewrite(&self, body: &[u8], chunk: usize, out: &mut Vec<u8>) -> usize {
        let mut stream = self.begin();
        let mut written = 0;
        for chunk in body.chunks(chunk) {
            stream.feed(chunk, out);
            written += out.len();
            out.clear();
        }
        stream.finish(out);
        written += out.len();
        out.clear();
        let mut done = stream.minimizer;
        done.forget();
        self.idle.replace(Some(done));
        written
    }

    /// Rewrites each line as a document of its own, as newline-delimited JSON comes.
    pub(crate) fn rewrite_lines(&self, lines: &[u8], out: &mut Vec<u8>) -> usize {
        lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| self.rewrite(line, CHUNK, out))
            .sum()
    }

    /// Rewrites a list of so many bytes whose records are made as they are needed, so that neither
    /// input nor output is ever whole. After `people` records they come again.
    pub(crate) fn stream(&self, bytes: u64, people: u64) -> u64 {
        let mut stream = self.begin();
        let mut out = Vec::new();
        let mut record = String::from(r#"{"data":["#);
        let (mut taken, mut id) = (0, 0);
        while taken < bytes {
            bodies::user(id % people, &mut record);
            stream.feed(record.as_bytes(), &mut out);
            out.clear();
            taken += record.len() as u64;
            record.clear();
            record.push(',');
            id += 1;
        }
        stream.feed(b"]}", &mut out);
        stream.finish(&mut out);
        taken
    }
}

/// One body on its way through the rewriter.
pub(crate) struct Stream<'a> {
    engine: &'a Engine,
    minimizer: JsonMinimizer,
}

impl Stream<'_> {
    /// Feeds a chunk, answers what is asked; the output is for the caller to take.
    pub(crate) fn feed(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        loop {
            let fed = self.minimizer.feed(chunk, out).expect("the corpora are JSON");
            chunk = &chunk[fed.consumed..];
            match fed.need {
                Need::Input => return,
                Need::Verdicts(questions) => {
                    for question in questions {
                        self.minimizer.answer(self.engine.judge(&question));
                    }
                }
            }
        }
    }

    /// Bytes of the rewriter's buffers.
    pub(crate) fn buffered(&self) -> usize {
        self.minimizer.buffered()
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        while let Finish::Verdicts(questions) =
            self.minimizer.finish(out).expect("the corpora are JSON")
        {
            for question in questions {
                self.minimizer.answer(self.engine.judge(&question));
            }
        }
    }
}
