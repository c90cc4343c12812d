//! Query predicates: filtering on a withheld field would be an oracle.
