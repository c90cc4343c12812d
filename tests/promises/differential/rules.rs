//! Rules by chance: paths of every kind, what they are for, and where the document is cut.

use super::random::Random;
use crate::oracle::{Act, Path, Rest, Rule, Segment, Step, What};

impl Random {
    fn step(&mut self) -> Step {
        match self.below(10) {
            0..=5 => Step::Name(self.name().to_owned()),
            6..=7 => Step::Wildcard,
            8 => Step::Index(self.below(4)),
            _ => {
                let start = self.below(3);
                let end = (self.below(2) == 0).then(|| start + 1 + self.below(3));
                let step = (self.below(2) == 0).then(|| 1 + self.below(3));
                Step::Slice { start: (start > 0).then_some(start), end, step }
            }
        }
    }

    fn segment(&mut self) -> Segment {
        let steps = if self.one_in(6) { 2 + self.below(2) } else { 1 };
        let mut steps: Vec<Step> = (0..steps).map(|_| self.step()).collect();
        // `['a','a']` says nothing that `['a']` does not.
        steps.dedup();
        Segment { descendant: self.one_in(4), steps }
    }

    fn path(&mut self, prefix: &[Segment], longest: usize) -> Path {
        let own: Vec<Segment> = (0..self.below(longest + 1)).map(|_| self.segment()).collect();
        Path::new([prefix, &own].concat())
    }

    fn act(&mut self) -> Act {
        match self.below(20) {
            0..=6 => Act::Keep,
            7..=9 => Act::Redact,
            10..=12 => Act::Blank,
            13..=17 => Act::Remove,
            18 => Act::Drop,
            _ => Act::Refuse,
        }
    }

    /// Rules without a list, or with one and its people.
    pub(crate) fn rules(&mut self, list: bool) -> (Vec<Rule>, Rest) {
        let rest = if !list && self.below(2) == 0 { Rest::Keep } else { Rest::Remove };
        let each = list.then(|| self.each());
        let prefix = each.as_ref().map_or(&[][..], |each| &each.segments);
        let mut rules: Vec<Rule> = (0..self.below(6))
            .map(|_| {
                let prefix = if self.one_in(4) { &[][..] } else { prefix };
                let path = self.path(prefix, 3);
                Rule { path, what: What::Cell(self.act(), self.below(2) == 0) }
            })
            .collect();
        if self.one_in(3) {
            for _ in 0..=self.below(2) {
                let path = self.names(prefix);
                rules.push(Rule { path, what: What::Name(self.act(), self.below(2) == 0) });
            }
        }
        let Some(each) = &each else { return (rules, rest) };
        if self.one_in(4) {
            // Whose an element is, or a part of it, is told by a name.
            let path = if self.one_in(2) { each.clone() } else { self.names(&each.segments) };
            rules.push(Rule { path, what: What::Named(0) });
        }
        for role in 0..self.below(3) {
            let role = u8::try_from(role).expect("few roles");
            for _ in 0..=usize::from(self.one_in(5)) {
                let prefix = if self.one_in(6) { &[][..] } else { &each.segments };
                let id = Segment { descendant: false, steps: vec![Step::Name("id".to_owned())] };
                let path = match self.below(3) {
                    0 => self.path(prefix, 2),
                    _ => Path::new([prefix, &[id]].concat()),
                };
                rules.push(Rule { path, what: What::Subject(role) });
            }
        }
        if self.one_in(3) {
            let total = Segment { descendant: false, steps: vec![Step::Name("total".to_owned())] };
            let act = if self.one_in(4) { Act::Remove } else { Act::Keep };
            rules.push(Rule { path: Path::new(vec![total]), what: What::Count(act) });
        }
        rules.push(Rule { path: each.clone(), what: What::Each });
        (rules, rest)
    }

    /// Names of members: those of the list, or of what lies beneath it or elsewhere.
    fn names(&mut self, each: &[Segment]) -> Path {
        let star = Segment { descendant: false, steps: vec![Step::Wildcard] };
        if !each.is_empty() && self.one_in(2) {
            return Path::new(each.to_vec());
        }
        let prefix = if self.one_in(4) { &[][..] } else { each };
        let object = self.path(prefix, 2);
        Path::new([object.segments, vec![star]].concat())
    }

    /// The list: usual and odd ones.
    fn each(&mut self) -> Path {
        let name = |name: &str| Step::Name(name.to_owned());
        let segment = |descendant, steps| Segment { descendant, steps };
        let star = segment(false, vec![Step::Wildcard]);
        let before = match self.below(8) {
            0..=2 => vec![segment(false, vec![name("data")])],
            3 => vec![segment(true, vec![name("data")])],
            4 => vec![segment(false, vec![name("data"), name("b")])],
            5 => vec![star.clone()],
            6 => vec![],
            _ => return Path::new(vec![]),
        };
        Path::new([before, vec![star]].concat())
    }

    /// Where the document is cut: lengths of chunks, taken in turn.
    pub(crate) fn cuts(&mut self) -> Vec<usize> {
        match self.below(4) {
            0 => vec![1],
            1 => vec![1 + self.below(200)],
            _ => (0..=self.below(8)).map(|_| 1 + self.below(200)).collect(),
        }
    }
}
