//! User agents as a family, its major version and the family of the operating system: enough to see
//! what breaks where, too little to know somebody again. What is not in the tables is `other`.

/// Token before the version → family. The first that occurs decides, since most agents also name
/// those they want to be taken for.
const FAMILIES: [(&str, &str); 14] = [
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("python-requests/", "python-requests"),
    ("Go-http-client/", "Go"),
    ("okhttp/", "okhttp"),
    ("PostmanRuntime/", "Postman"),
];

/// Words of automata.
const AUTOMATA: [&str; 4] = ["bot", "crawler", "spider", "slurp"];

/// Token → operating system; the first that occurs decides.
const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// Most digits of a major version; more are no version.
const MAJOR_DIGITS: usize = 4;

/// `Firefox/142 Windows`, `curl/8`, `bot`, `other`.
pub(super) fn family(agent: &str) -> String {
    let lower = agent.to_ascii_lowercase();
    if AUTOMATA.iter().any(|word| lower.contains(word)) {
        return "bot".into();
    }
    let found = FAMILIES.iter().find_map(|(token, family)| {
        let (_, rest) = agent.split_once(token)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        (1..=MAJOR_DIGITS).contains(&digits).then(|| format!("{family}/{}", &rest[..digits]))
    });
    let Some(family) = found else { return "other".into() };
    match SYSTEMS.iter().find(|(token, _)| agent.contains(token)) {
        Some((_, system)) => format!("{family} {system}"),
        None => family,
    }
}

#[cfg(test)]
mod tests {
    use super::family;

    #[test]
    fn agents_are_families() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/141.0.7390.65 Safari/537.36 Edg/141.0.3537.57",
                "Edge/141 Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari/18 iOS",
            ),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
            ("curl/8.5.0", "curl/8"),
            ("testina@example.invalid", "other"),
            ("curl/testina", "other"),
            ("curl/19840203", "other"),
            ("", "other"),
        ] {
            assert_eq!(family(agent), expected, "{agent}");
        }
    }
}
