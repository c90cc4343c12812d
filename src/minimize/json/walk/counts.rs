//! What is counted on a walk.

/// What has been counted.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Counts {
    pub(in super::super) cells: Vec<u64>,
    pub(in super::super) blanked: u64,
    pub(in super::super) unlisted: u64,
    pub(in super::super) withheld: u64,
}

impl Counts {
    pub(in super::super) fn clear(&mut self) {
        self.cells.clear();
        self.blanked = 0;
        self.unlisted = 0;
        self.withheld = 0;
    }

    /// Begins anew with as many cells.
    pub(in super::super) fn forget(&mut self) {
        self.restart(self.cells.len());
    }

    pub(super) fn restart(&mut self, cells: usize) {
        self.clear();
        self.cells.resize(cells, 0);
    }
}
