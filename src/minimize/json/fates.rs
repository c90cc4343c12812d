//! The decision at a value's first byte: what its place, the rules in force and its type make of it.
//!
//! This is the default-deny of the rewriter. A place that no cell names and nothing contains whole
//! is entered only for what the automaton still leads to, and is removed otherwise. An object is
//! released whole only where the rules say `subtree`; without it a cell speaks of scalars, and of
//! arrays element by element.
//!
//! What is decided for a place where nothing is in force from above depends on its state and the
//! value's type alone, and is kept.

use super::rules::{Rule, Rules, needs_no_value};
use crate::action::{Action, Scalar};
use crate::policy::automaton::{Automaton, CellId, Mark, StateId, Unlisted};

/// Types of values, by the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Bool,
    Null,
    Object,
    Array,
}

impl Kind {
    const COUNT: usize = 6;

    /// The type of a value whose text begins so; the grammar was checked.
    #[inline]
    pub(super) const fn of(first: u8) -> Self {
        // A table, since types change too often to be guessed by a branch.
        const KINDS: [Kind; 256] = {
            let mut kinds = [Kind::Number; 256];
            kinds[b'"' as usize] = Kind::String;
            kinds[b'{' as usize] = Kind::Object;
            kinds[b'[' as usize] = Kind::Array;
            kinds[b't' as usize] = Kind::Bool;
            kinds[b'f' as usize] = Kind::Bool;
            kinds[b'n' as usize] = Kind::Null;
            kinds
        };
        KINDS[first as usize]
    }

    #[inline]
    pub(super) const fn is_scalar(self) -> bool {
        !matches!(self, Self::Object | Self::Array)
    }

    /// A value of this type that says nothing about the one in the document.
    pub(super) const fn example(self) -> Scalar<'static> {
        match self {
            Self::String => Scalar::String(""),
            Self::Number => Scalar::Number("0"),
            Self::Bool => Scalar::Bool(false),
            Self::Null | Self::Object | Self::Array => Scalar::Null,
        }
    }
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Not decided yet.
    Unknown,
    /// It is an element: somebody is asked about it.
    Ask,
    /// It goes as it stands.
    Copy,
    /// It goes away with its separator and name.
    Remove,
    /// `null` stands for it.
    Null,
    /// The number of released elements stands for it.
    Count,
    /// The same placeholder stands for it whatever it is.
    Placeholder,
    /// A scalar that is treated.
    Treat,
    /// A text that leaves as a link, or not at all: only when all of it is there.
    Link,
    /// A container whose members are decided one by one.
    Enter,
    /// The element goes.
    Drop,
    /// The answer is refused.
    Refuse,
}

/// What becomes of a value, under which rule, and what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "facts that do not exclude one another")]
pub(super) struct Fate {
    pub(super) what: What,
    /// In force for it, or for what is not marked inside.
    pub(super) rule: Rule,
    /// Objects inside are kept whole.
    pub(super) subtree: bool,
    /// The cell that was met, if it is one, else [`NO_CELL`].
    pub(super) cell: CellId,
    /// Several cells were met; they are counted from the marks.
    pub(super) several: bool,
    /// What to do if there is no more to it.
    pub(super) quick: Quick,
    /// Nobody catalogued it.
    pub(super) unlisted: bool,
    /// A rule lists it, or something in it, and nothing of it leaves.
    pub(super) withheld: bool,
    /// Its action was not made for it.
    pub(super) blanked: bool,
    /// The id of a subject stands here.
    pub(super) wanted: bool,
    /// In force for the member's name.
    pub(super) key: Rule,
    /// The member's name is the id of a subject.
    pub(super) names: bool,
}

/// The frequent fates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    /// There is more to it.
    No,
    /// It is a scalar that goes as it stands, and at most one cell is counted.
    Keep,
    /// It is a scalar that is removed.
    Remove,
    /// It is a container that is entered, and nothing is counted.
    Enter,
    /// It is a scalar that is treated.
    Treat,
    /// It is a scalar for which a placeholder stands.
    Placeholder,
    /// It is a container that goes as it stands.
    Pass,
    /// It is a container that is removed.
    Cut,
}

/// No cell: there are never so many.
pub(super) const NO_CELL: CellId = CellId(u16::MAX);

const UNKNOWN: Fate = Fate {
    what: What::Unknown,
    rule: Rule::Unlisted,
    subtree: false,
    cell: NO_CELL,
    several: false,
    quick: Quick::No,
    unlisted: false,
    withheld: false,
    blanked: false,
    wanted: false,
    key: Rule::Unlisted,
    names: false,
};

/// Fates of places where nothing is in force from above, as they are met.
#[derive(Debug, Default)]
pub(super) struct Fates {
    known: Vec<[Fate; Kind::COUNT]>,
}

impl Fates {
    /// Forgets all: other rules are in force from now on.
    pub(super) fn clear(&mut self, states: usize) {
        self.known.clear();
        self.known.resize(states, [UNKNOWN; Kind::COUNT]);
    }

    /// Bytes of what is kept.
    pub(super) fn bytes(&self) -> usize {
        self.known.capacity() * size_of::<[Fate; Kind::COUNT]>()
    }

    #[inline]
    pub(super) fn known(&self, state: StateId, kind: Kind) -> Fate {
        self.known.get(state.index()).map_or(UNKNOWN, |fates| fates[kind as usize])
    }

    pub(super) fn keep(&mut self, state: StateId, kind: Kind, fate: Fate) {
        if let Some(fates) = self.known.get_mut(state.index()) {
            fates[kind as usize] = fate;
        }
    }
}

/// In force for a document's root, and for an element that is released.
pub(super) const fn base(unlisted: Unlisted) -> Rule {
    match unlisted {
        Unlisted::Remove => Rule::Unlisted,
        Unlisted::Keep => Rule::Keep,
    }
}

/// Decides. `rule` and `subtree` are in force from above; `asks`: elements are asked about here.
pub(super) fn fate(
    automaton: &Automaton,
    rules: &mut Rules,
    state: StateId,
    kind: Kind,
    (rule, subtree): (Rule, bool),
    asks: bool,
) -> Fate {
    let marks = automaton.marks(state);
    let mut fate = Fate { rule, subtree, ..UNKNOWN };
    let mut counted = false;
    let mut listed = automaton.leads_to_listed(state);
    for mark in marks {
        match *mark {
            Mark::Each if asks => {
                let names = marks.iter().any(|mark| matches!(mark, Mark::KeyOf(_)));
                return Fate { what: What::Ask, names, ..fate };
            }
            Mark::Cell { cell, subtree } => {
                fate.rule = rules.join(fate.rule, Rule::Cell(cell));
                fate.subtree &= subtree;
                fate.meet(cell);
            }
            Mark::Count(cell) => {
                fate.rule = rules.join(fate.rule, Rule::Cell(cell));
                fate.meet(cell);
                counted = true;
            }
            Mark::Subject(_) => fate.wanted = true,
            Mark::Key(cell) => {
                fate.key = rules.join(fate.key, Rule::Cell(cell));
                fate.meet(cell);
            }
            Mark::KeyOf(_) => fate.names = true,
            Mark::Each => {}
            Mark::Listed => listed = true,
        }
    }
    // What only a doubtful filter selects: under it nothing leaves that would not leave without it.
    if fate.rule != Rule::Unlisted {
        for mark in automaton.doubtful(state) {
            if let Mark::Cell { cell, subtree } = *mark {
                fate.rule = rules.join(fate.rule, Rule::Cell(cell));
                fate.subtree &= subtree;
            }
        }
    }
    let live = automaton.leads_to_cells(state);
    let scalar = kind.is_scalar();
    let object = kind == Kind::Object;
    fate.what = match (fate.rule, rules.action(fate.rule)) {
        (_, action) if counted => match action {
            Action::Refuse => What::Refuse,
            Action::Drop => What::Drop,
            action if action.releases() => What::Count,
            _ => What::Remove,
        },
        (Rule::Unlisted, _) if live && !scalar => {
            fate.subtree = true;
            What::Enter
        }
        (Rule::Unlisted, _) => {
            fate.unlisted = !listed;
            fate.withheld = listed;
            What::Remove
        }
        (_, Action::Refuse) => What::Refuse,
        (_, Action::Drop) => What::Drop,
        (_, Action::Remove) => What::Remove,
        (rule, _) if scalar && rules.is_of_links(rule) => match kind {
            Kind::String => What::Link,
            Kind::Null => What::Copy,
            _ => What::Remove,
        },
        (_, Action::Keep) if scalar => What::Copy,
        (_, action) if scalar => {
            if needs_no_value(action, kind.example()) {
                What::Placeholder
            } else {
                What::Treat
            }
        }
        (_, Action::Keep) if fate.subtree && !live => What::Copy,
        (_, Action::Keep) if fate.subtree && object => {
            fate.rule = Rule::Keep;
            What::Enter
        }
        _ if !object => What::Enter,
        _ if fate.subtree => {
            fate.blanked = true;
            What::Null
        }
        _ if live => {
            fate.rule = Rule::Unlisted;
            fate.subtree = true;
            What::Enter
        }
        _ => {
            fate.unlisted = !listed;
            fate.withheld = listed;
            What::Remove
        }
    };
    if fate.key != Rule::Unlisted {
        fate.under(rules.action(fate.key));
    }
    let whole = !automaton.leads_to_subjects(state);
    fate.quick = match fate.what {
        _ if fate.wanted || fate.names || fate.key != Rule::Unlisted => Quick::No,
        What::Copy if scalar && !fate.several => Quick::Keep,
        What::Remove if scalar => Quick::Remove,
        What::Enter if marks.is_empty() => Quick::Enter,
        What::Treat => Quick::Treat,
        What::Placeholder => Quick::Placeholder,
        What::Copy if !scalar && whole => Quick::Pass,
        What::Remove if !scalar && whole => Quick::Cut,
        _ => Quick::No,
    };
    fate
}

impl Fate {
    /// Goes on under the action of the member's name: a member leaves with its name or not at all.
    fn under(&mut self, action: &Action) {
        match action {
            // The first as it stands, the others once they are made.
            Action::Keep | Action::OwnLines | Action::Token | Action::Pseudonym(_) => {}
            Action::Refuse => self.what = What::Refuse,
            Action::Drop if self.what != What::Refuse => self.what = What::Drop,
            _ if matches!(self.what, What::Remove | What::Drop | What::Refuse) => {}
            Action::Remove => self.what = What::Remove,
            // What is masked or made coarser names nobody, or several.
            _ => {
                self.what = What::Remove;
                self.blanked = true;
            }
        }
    }

    fn meet(&mut self, cell: CellId) {
        if self.several || self.cell != NO_CELL {
            self.several = true;
            self.cell = NO_CELL;
        } else {
            self.cell = cell;
        }
    }
}
