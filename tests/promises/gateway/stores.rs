//! The embedded stores of a stage, behind switches by which they fail.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tamis::ledger::{
    Disclosure, FileLedger, Ledger, LedgerUnavailable, Note, Outcome, Receipt, Refused,
};
use tamis::registers::{RegisterPlace, RegisterStore, Registers, RegistersUnavailable};
use tamis::terms::{Case, DataSubject, DecisionId, LegalOrder, Statements};

/// Stores that fail on demand.
pub(super) struct Switches {
    pub(super) registers_fail: AtomicBool,
    pub(super) registers_panic: AtomicBool,
    pub(super) ledger_fails: AtomicBool,
    /// The ledger takes no notes; disclosures it takes.
    pub(super) notes_fail: AtomicBool,
}

/// The embedded stores, behind the switches.
pub(super) struct Switched {
    switches: Arc<Switches>,
    pub(super) registers: RegisterStore,
    ledger: FileLedger,
}

impl Switched {
    pub(super) fn open(registers: &RegisterPlace, ledger: &Path) -> (Arc<Switches>, Arc<Self>) {
        let switches = Arc::new(Switches {
            registers_fail: AtomicBool::new(false),
            registers_panic: AtomicBool::new(false),
            ledger_fails: AtomicBool::new(false),
            notes_fail: AtomicBool::new(false),
        });
        let stores = Arc::new(Self {
            switches: Arc::clone(&switches),
            registers: RegisterStore::open(registers).expect("registers"),
            ledger: FileLedger::open(ledger, "gw-test").expect("ledger"),
        });
        (switches, stores)
    }
}

impl Registers for Switched {
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        let panics = self.switches.registers_panic.load(Ordering::SeqCst);
        assert!(!panics, "a defect that tells of {}", subject.expose());
        if self.switches.registers_fail.load(Ordering::SeqCst) {
            return Err(RegistersUnavailable("switched off".into()));
        }
        self.registers.statements(subject)
    }

    fn order(&self, id: &str) -> Result<Option<LegalOrder>, RegistersUnavailable> {
        self.registers.order(id)
    }

    fn case(&self, id: &str) -> Result<Option<Case>, RegistersUnavailable> {
        self.registers.case(id)
    }

    fn use_grants(
        &self,
        ids: &[Arc<str>],
        decision: &DecisionId,
    ) -> Result<bool, RegistersUnavailable> {
        if self.switches.registers_fail.load(Ordering::SeqCst) {
            return Err(RegistersUnavailable("switched off".into()));
        }
        self.registers.use_grants(ids, decision)
    }
}

type Waits<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerUnavailable>> + Send + 'a>>;

impl Ledger for Switched {
    fn open<'a>(&'a self, disclosure: &'a Disclosure) -> Waits<'a, Receipt> {
        if self.switches.ledger_fails.load(Ordering::SeqCst) {
            return Box::pin(async { Err(LedgerUnavailable("switched off".into())) });
        }
        self.ledger.open(disclosure)
    }

    fn close(&self, receipt: Receipt, outcome: Outcome) {
        self.ledger.close(receipt, outcome);
    }

    fn refuse(&self, refused: Refused) {
        self.ledger.refuse(refused);
    }

    fn note<'a>(&'a self, note: &'a Note) -> Waits<'a, u64> {
        if self.switches.notes_fail.load(Ordering::SeqCst) {
            return Box::pin(async { Err(LedgerUnavailable("switched off".into())) });
        }
        self.ledger.note(note)
    }

    fn later(&self, note: &Note) {
        self.ledger.later(note);
    }

    fn writable(&self) -> Result<(), LedgerUnavailable> {
        self.ledger.writable()
    }
}
