//! The links in an answer's head: `Location` and `Content-Location` hold one, `Link` a list.
//!
//! Each link is taken apart and put together again by the rules of the route that it leads to, as one in
//! a body is ([`Link`]). What cannot leave is left out and counted, each by itself: of a list the others
//! go on. A list that could be read in two ways is left out whole, since nobody can say where the link
//! ends that may leave. Of what stands beside a link only its relation, media type and language pass:
//! words of registries. A title is free text.
//! Source: RFC 9110 §8.7, §10.2.2; RFC 8288 §3, appendix B; docs/decisions/0011-links.md.

use crate::action::Link;
use crate::policy::model::LinkHeader;
use crate::terms::CategoryId;

/// Longest value of a header that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// Most links that one answer's head gives.
const MOST: usize = 64;

/// Relations that a link may have: those of the registry that say what a resource of an API is to
/// another one. Not `privacy-policy`, which only the rules give. Source: the IANA registry "Link
/// Relations" (RFC 8288 §4.2).
const RELATIONS: [&str; 48] = [
    "about",
    "alternate",
    "appendix",
    "archives",
    "author",
    "bookmark",
    "canonical",
    "chapter",
    "collection",
    "contents",
    "copyright",
    "create-form",
    "current",
    "describedby",
    "describes",
    "duplicate",
    "edit",
    "edit-form",
    "edit-media",
    "enclosure",
    "first",
    "glossary",
    "help",
    "hub",
    "index",
    "item",
    "last",
    "latest-version",
    "license",
    "memento",
    "monitor",
    "next",
    "next-archive",
    "original",
    "payment",
    "predecessor-version",
    "prev",
    "prev-archive",
    "preview",
    "previous",
    "related",
    "replies",
    "search",
    "self",
    "start",
    "status",
    "successor-version",
    "up",
];

/// What is left of the links in a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Lines of headers that may leave.
    pub lines: Vec<(LinkHeader, String)>,
    /// Of what values stand in them; a category as often as there are values of it.
    pub values: Vec<(LinkHeader, CategoryId)>,
    /// How many links, or lists that are none, were left out.
    pub left_out: Vec<(LinkHeader, u64)>,
}

impl Links {
    /// Whether a line of this header may leave.
    #[must_use]
    pub fn has(&self, header: LinkHeader) -> bool {
        self.lines.iter().any(|(one, _)| *one == header)
    }

    /// Takes what stands in the lines of one header, by the rules of its links. `None` for rules: the
    /// answer's people are not known.
    pub fn take(&mut self, header: LinkHeader, lines: &[&[u8]], rules: Option<&Link>) {
        let mut left_out = 0;
        let told: Vec<Option<Linked<'_>>> = match header {
            LinkHeader::Location | LinkHeader::ContentLocation => one(lines),
            LinkHeader::Link => lines.iter().flat_map(|line| many(line)).collect(),
        };
        let room = MOST.saturating_sub(self.lines.len());
        for (at, linked) in told.into_iter().enumerate() {
            let left = linked.filter(|_| at < room).and_then(|linked| {
                let (target, values) = rules?.rewrite_and_tell(linked.target)?;
                Some((linked.written(header, &target)?, values))
            });
            let Some((line, values)) = left else {
                left_out += 1;
                continue;
            };
            self.lines.push((header, line));
            self.values.extend(values.into_iter().map(|of| (header, of)));
        }
        if left_out > 0 {
            self.left_out.push((header, left_out));
        }
    }
}

/// A link, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Linked<'a> {
    target: &'a str,
    relations: Vec<&'static str>,
    media_type: Option<&'a str>,
    language: Option<&'a str>,
}

impl Linked<'_> {
    /// As it stands in a header, with `target` in the place of its own. `None` where that would not be
    /// read as it is meant.
    fn written(&self, header: LinkHeader, target: &str) -> Option<String> {
        if header != LinkHeader::Link {
            return Some(target.to_owned());
        }
        if target.contains(['<', '>', '"', '\\']) {
            return None;
        }
        let mut line = format!("<{target}>; rel=\"{}\"", self.relations.join(" "));
        for (name, value) in [("type", self.media_type), ("hreflang", self.language)] {
            if let Some(value) = value {
                line.push_str("; ");
                line.push_str(name);
                line.push_str("=\"");
                line.push_str(value);
                line.push('"');
            }
        }
        Some(line)
    }
}

/// The only link of a header that holds one. Where it stands twice, nobody can say which is meant.
fn one<'a>(lines: &[&'a [u8]]) -> Vec<Option<Linked<'a>>> {
    let [line] = lines else { return lines.iter().map(|_| None).collect() };
    let target = std::str::from_utf8(line).ok().filter(|line| line.len() <= LONGEST);
    let plain = |target| Linked { target, relations: vec![], media_type: None, language: None };
    vec![target.map(plain)]
}

/// The links of one line of a list, each or `None`; a line that is no list is one that cannot be read.
fn many(line: &[u8]) -> Vec<Option<Linked<'_>>> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t');
    let text = std::str::from_utf8(line).ok();
    let text = text.filter(|text| text.len() <= LONGEST && text.as_bytes().iter().all(is_plain));
    text.and_then(list).unwrap_or_else(|| vec![None])
}

fn list(text: &str) -> Option<Vec<Option<Linked<'_>>>> {
    let mut links = Vec::new();
    let mut rest = text.trim_matches(BLANKS);
    loop {
        // A list may have empty members (RFC 9110 §5.6.1.2).
        while let Some(behind) = rest.strip_prefix(',') {
            rest = behind.trim_start_matches(BLANKS);
        }
        if rest.is_empty() {
            return Some(links);
        }
        let (target, behind) = rest.strip_prefix('<')?.split_once('>')?;
        let (said, behind) = said(behind)?;
        links.push(linked(target, &said));
        if !behind.is_empty() && !behind.starts_with(',') {
            return None;
        }
        rest = behind;
    }
}

/// What stands around the parts of a list.
const BLANKS: [char; 2] = [' ', '\t'];

/// The parameters of a link, each with its value, and what stands behind them.
#[allow(clippy::type_complexity, reason = "pairs, and a rest")]
fn said(text: &str) -> Option<(Vec<(&str, Option<&str>)>, &str)> {
    let mut said = Vec::new();
    let mut rest = text.trim_start_matches(BLANKS);
    while let Some(behind) = rest.strip_prefix(';') {
        let behind = behind.trim_start_matches(BLANKS);
        let end = behind.find(|c| !is_of_token(c)).unwrap_or(behind.len());
        let (name, behind) = behind.split_at(end);
        let behind = behind.trim_start_matches(BLANKS);
        let Some(value) = behind.strip_prefix('=').filter(|_| !name.is_empty()) else {
            if !name.is_empty() {
                said.push((name, None));
            }
            rest = behind;
            continue;
        };
        let value = value.trim_start_matches(BLANKS);
        let (value, behind) = if let Some(quoted) = value.strip_prefix('"') {
            let end = end_of_quoted(quoted)?;
            (&quoted[..end], &quoted[end + 1..])
        } else {
            let end = value.find(|c| !is_of_token(c)).unwrap_or(value.len());
            if end == 0 {
                return None;
            }
            value.split_at(end)
        };
        said.push((name, Some(value)));
        rest = behind.trim_start_matches(BLANKS);
    }
    Some((said, rest))
}

/// Where the quotes end that were opened before `text`.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

/// The link to `target`, of which this is said. `None` where what is said is no relation that passes,
/// or changes what the link is about.
fn linked<'a>(target: &'a str, said: &[(&'a str, Option<&'a str>)]) -> Option<Linked<'a>> {
    let given = |name: &str| -> Vec<Option<&'a str>> {
        let is_it = |(one, _): &&(&str, Option<&'a str>)| one.eq_ignore_ascii_case(name);
        said.iter().filter(is_it).map(|(_, value)| *value).collect()
    };
    // Of something else than this answer, or the other way round.
    if !given("anchor").is_empty() || !given("rev").is_empty() {
        return None;
    }
    let [Some(relations)] = given("rel")[..] else { return None };
    let known = |name: &str| RELATIONS.into_iter().find(|one| one.eq_ignore_ascii_case(name));
    let relations: Option<Vec<&str>> =
        relations.split(' ').filter(|name| !name.is_empty()).map(known).collect();
    let relations = relations.filter(|relations| !relations.is_empty())?;
    let hint = |name: &str, fits: fn(&str) -> bool| match given(name)[..] {
        [Some(value)] if fits(value) => Some(value),
        _ => None,
    };
    let (media_type, language) = (hint("type", is_media_type), hint("hreflang", is_language));
    Some(Linked { target, relations, media_type, language })
}

/// Kinds of what a link leads to that a gateway answers with: anything else could say more.
fn is_media_type(text: &str) -> bool {
    ["application/json", "image/jpeg", "image/png", "image/webp"].contains(&text)
}

/// A language, perhaps with a region. Source: RFC 5646 §2.1.
fn is_language(text: &str) -> bool {
    let (language, region) = text.split_once('-').unwrap_or((text, "XX"));
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    matches!(language.len(), 2 | 3) && letters(language) && region.len() == 2 && letters(region)
}

/// Source: RFC 9110 §5.6.2.
const fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '!' | '#'
                | '$'
                | '%'
                | '&'
                | '\''
                | '*'
                | '+'
                | '-'
                | '.'
                | '^'
                | '_'
                | '`'
                | '|'
                | '~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(line: &str) -> Option<Vec<Option<&str>>> {
        Some(list(line)?.into_iter().map(|one| one.map(|one| one.target)).collect())
    }

    #[test]
    fn a_list_is_read_in_one_way_or_not_at_all() {
        let cases: [(&str, Option<Vec<Option<&str>>>); 24] = [
            ("", Some(vec![])),
            (" , ,", Some(vec![])),
            ("</a>; rel=next", Some(vec![Some("/a")])),
            ("</a>;rel=\"next\",</b>;rel=prev", Some(vec![Some("/a"), Some("/b")])),
            ("</a> ; rel = \"next\" , </b> ; REL=Prev", Some(vec![Some("/a"), Some("/b")])),
            // A comma, a semicolon and a bracket in quotes are none.
            (r#"</a>; title="x, </b>; rel=up"; rel=next"#, Some(vec![Some("/a")])),
            (r#"</a>; title="x\", </b>; rel=\"up"; rel=next"#, Some(vec![Some("/a")])),
            // In a target they are no separators either.
            ("</a,b;c>; rel=next", Some(vec![Some("/a,b;c")])),
            ("</a>; rel=\"next unheard-of\"", Some(vec![None])),
            ("</a>; rel=https://rels.invalid/42", None),
            ("</a>; rel=\"https://rels.invalid/42\"", Some(vec![None])),
            ("</a>", Some(vec![None])),
            ("</a>; rel", Some(vec![None])),
            ("</a>; rel=\"\"", Some(vec![None])),
            ("</a>; rel=next; rel=up", Some(vec![None])),
            ("</a>; rel=next; anchor=\"/people/42\"", Some(vec![None])),
            ("</a>; rev=next; rel=up", Some(vec![None])),
            ("</a>; rel=\"next", None),
            ("</a>; rel=next </b>; rel=up", None),
            ("</a>; rel=next, /b", None),
            ("</a; rel=next", None),
            ("/a; rel=next", None),
            ("</a>; rel=", None),
            ("</a>; rel=next;", Some(vec![Some("/a")])),
        ];
        for (line, expected) in cases {
            assert_eq!(targets(line), expected, "{line}");
        }
    }

    #[test]
    fn only_words_of_registries_stand_beside_a_link() {
        let head = r#"</a>; rel="NEXT  last"; title="Ada"; title*=UTF-8''Ada; media=print;
            type="application/json"; hreflang=de-AT; customer=42"#
            .replace('\n', "");
        let links = list(&head).expect("a list");
        let [Some(link)] = &links[..] else { panic!("one link") };
        assert_eq!(
            link.written(LinkHeader::Link, "/b").as_deref(),
            Some(r#"</b>; rel="next last"; type="application/json"; hreflang="de-AT""#)
        );
        for odd in [
            "</a>; rel=next; type=text",
            "</a>; rel=next; type=\"text/customer-42\"",
            "</a>; rel=next; hreflang=customer42",
            "</a>; rel=next; hreflang=de; hreflang=en",
        ] {
            let links = list(odd).expect("a list");
            let [Some(link)] = &links[..] else { panic!("one link") };
            assert_eq!(link.written(LinkHeader::Link, "/b").as_deref(), Some("</b>; rel=\"next\""));
        }
        for target in ["/b>", "/\"", "/<"] {
            assert_eq!(link.written(LinkHeader::Link, target), None);
        }
    }

    #[test]
    fn what_is_no_plain_text_is_no_list() {
        for line in
            [&b"</a>; rel=next\r\nx: y"[..], b"</a>; rel=\"n\xc3\xa4\"", b"</a\x00>; rel=up"]
        {
            assert_eq!(many(line), [None]);
        }
        let long = format!("</{}>; rel=next", "a".repeat(LONGEST));
        assert_eq!(many(long.as_bytes()), [None]);
    }
}
