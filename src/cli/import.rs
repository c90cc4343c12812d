//! `tamis import openapi FILE`: a draft of `categories` and `routes` from an OpenAPI 3 document.
//!
//! A draft and no more: every category is a guess from a name and marked `REVIEW`, no member is open,
//! and nothing is released. What the document does not describe stays uncatalogued, so it is removed.

mod members;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value};

use self::members::{Member, members};
use super::REJECTED;

/// Arguments of `tamis import`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: tamis import openapi shop.openapi.yaml > draft.yaml

Exit codes: 0 a draft was printed, 2 usage, 64 the file is no OpenAPI 3 document.")]
pub(super) struct Import {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Draft `categories` and `routes` from an OpenAPI 3 document, in JSON or YAML.
    Openapi {
        /// The document.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The backend's name, as routes are to call it.
        #[arg(long, value_name = "NAME", default_value = "backend")]
        upstream: String,
    },
}

impl Import {
    pub(super) fn run(self) -> ExitCode {
        let What::Openapi { file, upstream } = self.what;
        let drafted = std::fs::read_to_string(&file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))
            .and_then(|text| draft(&text, &upstream));
        match drafted {
            Ok(text) => {
                let mut out = io::stdout().lock();
                match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(_) => ExitCode::FAILURE,
                }
            }
            Err(complaint) => {
                let _ = writeln!(io::stderr(), "tamis import: {complaint}");
                ExitCode::from(REJECTED)
            }
        }
    }
}

fn draft(text: &str, upstream: &str) -> Result<String, String> {
    let document: Value =
        serde_saphyr::from_str(text).map_err(|_| "the file is neither JSON nor YAML".to_owned())?;
    let version = document["openapi"].as_str().unwrap_or_default();
    if !version.starts_with("3.") {
        return Err("the file is no OpenAPI 3 document: it has no `openapi: 3.…`".to_owned());
    }
    let nothing = Map::new();
    let paths = document["paths"].as_object().unwrap_or(&nothing);
    let mut categories = BTreeSet::new();
    let mut routes = String::new();
    for (path, operations) in paths {
        for method in ["get", "post", "put", "patch", "delete"] {
            if operations[method].is_object() {
                let operation = &operations[method];
                route(&document, method, path, operation, upstream, &mut categories, &mut routes);
            }
        }
    }
    let mut draft = String::from(
        "# A draft. Every category is a guess from a name: look at each line marked REVIEW. A member\n\
         # that is about no person goes to `open`, by hand. Nothing is released before `release` says so.\n",
    );
    draft.push_str("categories:\n");
    for category in &categories {
        let _ = writeln!(draft, "  {category}: {{}}   # REVIEW");
    }
    draft.push_str("routes:\n");
    draft.push_str(&routes);
    Ok(draft)
}

fn route(
    document: &Value,
    method: &str,
    path: &str,
    operation: &Value,
    upstream: &str,
    categories: &mut BTreeSet<String>,
    out: &mut String,
) {
    let method = method.to_ascii_uppercase();
    if !is_template(path) {
        let path: String = path.chars().filter(|c| !c.is_control()).collect();
        let _ = writeln!(out, "  # {method} {path}: not routable as it is written");
        return;
    }
    if method != "GET" {
        let _ = writeln!(out, "  # {method} {path}: left out; the draft has what is read");
        return;
    }
    let Some(schema) = answer(document, operation) else {
        let _ = writeln!(out, "  # {method} {path}: no JSON answer is described");
        return;
    };
    let found = members(document, schema);
    let _ = writeln!(out, "  - match: {method} {path}");
    let _ = writeln!(out, "    upstream: {upstream}");
    let parameter = path.split('/').find_map(|segment| segment.strip_prefix('{'));
    if let Some(name) = parameter.and_then(|rest| rest.strip_suffix('}')) {
        let _ = writeln!(
            out,
            "    subjects: {{person: \"path:{name}\"}}   # REVIEW: whose data is it?"
        );
    } else {
        let id = found.iter().find(|member| member.category == "account.id");
        let selector = id.map_or("$.REVIEW", |member| member.selector.as_str());
        let _ = writeln!(out, "    # REVIEW: a list that is cut needs `each`, and subjects in `@`");
        let _ = writeln!(out, "    subjects: {{person: {}}}   # REVIEW", Value::from(selector));
    }
    let _ = writeln!(out, "    fields:{}", if found.is_empty() { " {}" } else { "" });
    for Member { selector, category } in found {
        let _ = writeln!(out, "      {}: {category}   # REVIEW", Value::from(selector));
        categories.insert(category);
    }
}

/// The schema of the answer of a request that went well.
fn answer<'a>(document: &'a Value, operation: &'a Value) -> Option<&'a Value> {
    let responses = operation["responses"].as_object()?;
    let response = ["200", "2XX", "default"].iter().find_map(|status| responses.get(*status))?;
    let content = members::resolved(document, response)["content"].as_object()?;
    let json = content.iter().find(|(kind, _)| kind.split(';').next() == Some("application/json"));
    json.map(|(_, content)| &content["schema"]).filter(|schema| schema.is_object())
}

/// Whether a path can be a template of the rules.
fn is_template(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| {
            let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            match inner {
                Some(name) => {
                    !name.is_empty()
                        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                }
                None => {
                    !segment.is_empty() && segment.bytes().all(plain) && !segment.starts_with('.')
                }
            }
        })
    })
}
