//! Members in a hurry: as long as an object's members come in the expected shape, in compact text,
//! and nothing is to be done about them but to keep, remove or enter them.
//!
//! Whatever is not so is left to the others, who begin with the same member anew. Nothing is decided
//! here that they would decide otherwise: it is the same tables that are read.

use super::super::fates::{Kind, Quick};
use super::{Frame, Mode, PENDING, Text, Walk, place};

/// How an object's members ended.
enum End {
    /// Somebody else must go on.
    Left,
    /// A member's object or array was entered.
    Entered,
    /// A separator or the object's end is the next mark.
    Behind,
}

impl Walk {
    /// Takes marks, each `first` less than its place, as long as it goes well.
    pub(super) fn members(
        &mut self,
        rest: &mut &[u16],
        first: usize,
        text: &Text<'_>,
        out: &mut Vec<u8>,
    ) {
        loop {
            match self.object(rest, first, text, out) {
                End::Left => break,
                End::Entered if self.mode == Mode::Object => {}
                End::Entered => break,
                End::Behind => {
                    if !self.behind(rest, first, text.window) {
                        break;
                    }
                }
            }
        }
    }

    #[inline]
    fn object(
        &mut self,
        rest: &mut &[u16],
        first: usize,
        text: &Text<'_>,
        out: &mut Vec<u8>,
    ) -> End {
        let window = text.window;
        let Some(frame) = self.frames.last_mut() else { return End::Left };
        if !(frame.simple && frame.object && frame.live) {
            return End::Left;
        }
        let state = frame.state;
        let (mut last, mut expected, mut emitted) = (frame.last, frame.expected, frame.emitted);
        let mut separator = self.separator;
        let mut left = *rest;
        let mut entering = None;
        let end = loop {
            let [colon, mark, behind @ ..] = left else { break End::Left };
            let (colon, mark) = (first + usize::from(*colon), first + usize::from(*mark));
            if window[colon] != b':' || mark - separator > PENDING {
                break End::Left;
            }
            let length = colon - separator - 1;
            let Some((next, member)) =
                self.shapes.expected(expected, state, window, separator + 1, length)
            else {
                break End::Left;
            };
            let (begins, stop) = (window[colon + 1], window[mark]);
            let kind = Kind::of(begins);
            if begins <= b' ' || window[mark - 1] <= b' ' {
                break End::Left;
            }
            self.next = member;
            let fate = self.fates.known(member, kind);
            match fate.quick {
                Quick::Keep => {
                    self.count_cell(fate.cell);
                    if !emitted {
                        emitted = true;
                        self.follow_separator(window, separator);
                    }
                }
                Quick::Remove => {
                    self.count(&fate);
                    self.cut(separator, emitted, mark, window, out);
                }
                Quick::Enter => {
                    if !emitted {
                        emitted = true;
                        self.follow_separator(window, separator);
                    }
                    (last, expected) = (expected, next);
                    separator = mark;
                    left = behind;
                    entering = Some((kind == Kind::Object, fate));
                    break End::Entered;
                }
                Quick::Treat | Quick::Placeholder => {
                    if !emitted {
                        emitted = true;
                        self.follow_separator(window, separator);
                    }
                    self.count(&fate);
                    self.flush(colon + 1, window, out);
                    if fate.quick == Quick::Treat {
                        (self.start, self.kind, self.too_long) = (colon + 1, kind, false);
                        self.treat_value(fate.rule, window, mark, out);
                    } else {
                        self.write_placeholder(&fate, kind, out);
                    }
                    self.from = mark;
                }
                Quick::Pass | Quick::Cut => {
                    let Some((end, behind)) = container_end(window, behind, first) else {
                        break End::Left;
                    };
                    self.count(&fate);
                    if fate.quick == Quick::Cut {
                        self.cut(separator, emitted, end, window, out);
                    } else if !emitted {
                        emitted = true;
                        self.follow_separator(window, separator);
                    }
                    (last, expected) = (expected, next);
                    left = behind;
                    break End::Behind;
                }
                Quick::No => break End::Left,
            }
            (last, expected) = (expected, next);
            if stop != b',' {
                left = &left[1..];
                break End::Behind;
            }
            separator = mark;
            left = behind;
        };
        *rest = left;
        self.separator = separator;
        if let Some(frame) = self.frames.last_mut() {
            (frame.last, frame.expected, frame.emitted) = (last, expected, emitted);
        }
        if let Some((object, fate)) = entering {
            self.enter(object, fate.rule, fate.subtree);
        }
        end
    }

    /// Behind a member: a separator, or the object's end, and so on outwards. Whether an object's
    /// next member follows.
    #[inline]
    fn behind(&mut self, rest: &mut &[u16], first: usize, window: &[u8]) -> bool {
        loop {
            self.mode = Mode::Behind;
            let [mark, behind @ ..] = *rest else { return false };
            let mark = first + usize::from(*mark);
            if window[mark] == b',' {
                *rest = behind;
                self.separator = mark;
                self.mode = self.container;
                return self.mode == Mode::Object;
            }
            let [.., around, Frame { simple: true, object: true, .. }] = &self.frames[..] else {
                return false;
            };
            // Whoever counts children must hear of this one's end.
            if !around.simple {
                return false;
            }
            *rest = behind;
            if !self.writing {
                self.from = mark;
                self.writing = true;
            }
            self.frames.pop();
            self.leave();
        }
    }
}

/// Behind the end of a container that was opened, if it ends at one of the marks; and those behind.
#[inline(never)]
fn container_end<'a>(window: &[u8], marks: &'a [u16], first: usize) -> Option<(usize, &'a [u16])> {
    let mut depth = 1;
    for (number, mark) in marks.iter().enumerate() {
        let at = first + usize::from(*mark);
        depth = place::depth(depth, window[at]);
        if depth == 0 {
            return Some((at + 1, &marks[number + 1..]));
        }
    }
    None
}
