//! Plans made so far, so that a request pays for compiling only the first time.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::automaton::CompileError;
use super::{Plan, Policy};
use crate::terms::{PurposeId, RecipientId};

/// Most plans kept. A policy has routes × recipients × a few sets of purposes; only a caller who
/// permutes sets of purposes comes near, and then the plans are made anew.
const MOST: usize = 4096;

type Key = (usize, RecipientId, Vec<PurposeId>);

/// A bounded cache of plans; part of the policy they were made from.
#[derive(Debug, Default)]
pub struct Plans(RwLock<HashMap<Key, Arc<Plan>>>);

impl Policy {
    /// The plan for a route, recipient and set of purposes, in any order and with repetitions.
    ///
    /// # Errors
    /// The plan's automaton would be larger than its bound.
    pub fn plan(
        &self,
        route: usize,
        recipient: &RecipientId,
        purposes: &[PurposeId],
    ) -> Result<Arc<Plan>, CompileError> {
        let mut purposes = purposes.to_vec();
        purposes.sort();
        purposes.dedup();
        let key = (route, recipient.clone(), purposes);
        // A panic while a plan was inserted leaves a whole map behind: poison carries no meaning.
        if let Some(plan) = self.plans.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::build(self, route, recipient, &key.2)?);
        let mut plans = self.plans.0.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MOST {
            plans.clear();
        }
        Ok(Arc::clone(plans.entry(key).or_insert(plan)))
    }
}
