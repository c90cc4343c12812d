//! What others do with the same bytes. All are built for the generic target, as Tamis is; sonic-rs
//! takes its SIMD level when it is compiled, so that a native build of it is some 40 % faster.

use std::hint::black_box;

use jsonpath_rust::JsonPath;
use jsonpath_rust::query::queryable::Queryable;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Copies in chunks into one buffer that stays in the cache: what no rewriter can beat.
pub(crate) fn copy(body: &[u8], chunk: usize, out: &mut Vec<u8>) {
    for chunk in body.chunks(chunk) {
        out.extend_from_slice(chunk);
        black_box(&out);
        out.clear();
    }
}

/// serde_json: parses into a tree and prints it. All figures are relative to this.
pub(crate) fn parse_and_print(body: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(body).expect("the corpora are JSON");
    serde_json::to_vec(&value).expect("a tree can be printed")
}

/// serde_json: looks whether it is JSON, and copies nothing.
pub(crate) fn validate(body: &[u8]) {
    let _: IgnoredAny = serde_json::from_slice(body).expect("the corpora are JSON");
}

/// sonic-rs: parses and prints.
pub(crate) fn sonic(body: &[u8]) -> Vec<u8> {
    let value: sonic_rs::Value = sonic_rs::from_slice(body).expect("the corpora are JSON");
    sonic_rs::to_vec(&value).expect("a tree can be printed")
}

/// What a first version does with the ten dense rules: serde_json for the tree, jsonpath-rust for
/// each rule, each place found again by its path. The masks are simpler than Tamis's.
pub(crate) fn naive(body: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(body).expect("the corpora are JSON");
    for selector in ["$..email", "$..geo", "$..device", "$..payment"] {
        value.delete_by_path(selector).expect("a selector");
    }
    for selector in ["$..phone", "$..name", "$..born", "$..street", "$..notes", "$..sku"] {
        for path in value.query_only_path(selector).expect("a selector") {
            if let Some(place) = value.reference_mut(path) {
                *place = Value::String("****".to_owned());
            }
        }
    }
    serde_json::to_vec(&value).expect("a tree can be printed")
}
