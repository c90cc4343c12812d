//! `mode` of a route.

use super::Compiler;
use crate::policy::Mode;
use crate::policy::syntax::Fields;

const MODES: [(&str, Mode); 3] =
    [("observe", Mode::Observe), ("shadow", Mode::Shadow), ("enforce", Mode::Enforce)];

impl Compiler<'_> {
    /// A route without the word is enforced.
    pub(super) fn mode(&mut self, fields: &mut Fields<'_>) -> Mode {
        let Some(node) = fields.take("mode") else { return Mode::default() };
        let mode = node.word(self.findings, "a mode", &MODES).unwrap_or_default();
        // What the gateway answers itself is about nobody, or what somebody has a right to.
        if mode != Mode::Enforce && fields.has("serve") {
            let message = "what the gateway serves itself is in force at once";
            self.findings.error("T104", &node.place, message);
        }
        mode
    }
}
