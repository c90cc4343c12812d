//! The promises that Tamis keeps, tested from outside: one binary, a module a topic.

mod admin;
mod borders;
mod canary;
mod chunks;
mod cli;
mod decide;
mod differential;
mod engine;
mod filters;
mod fuzz_corpus;
mod gateway;
mod identity;
mod json_suite;
mod jsonpath_suite;
mod ledger;
mod minimizing;
mod naughty_strings;
mod oracle;
mod orders;
mod properties;
mod registers;
mod rewrite;
mod rules;
mod statements_cli;
mod tour;
mod vectors;
