//! Countries and regions.

use super::Compiler;
use crate::policy::syntax::{Node, closest};
use crate::terms::Country;

/// Members of the European Economic Area. Source: EEA Agreement, as of 2026; changes with it.
pub(super) const EEA: [&str; 30] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS",
    "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// Source: ISO 3166-1 alpha-2, officially assigned codes. A misspelt country would silently match
/// no transfer mechanism, so it is refused.
const ASSIGNED: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS \
BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE \
EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM \
HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC \
LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA \
NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW \
SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO \
TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Whether it is the code of a country. Source: ISO 3166-1.
pub(super) fn is_assigned(text: &str) -> bool {
    text.len() == 2 && ASSIGNED.split(' ').any(|code| code == text)
}

impl Compiler<'_> {
    /// A country code.
    pub(super) fn country(&mut self, node: &Node) -> Option<Country> {
        self.country_or(node, "a country code such as \"HK\"", &[])
    }

    /// A country code or a declared region.
    pub(super) fn country_or_region(&mut self, node: &Node) -> Option<Country> {
        let regions = self.names.regions.clone();
        self.country_or(node, "a country code or a region", &regions)
    }

    fn country_or(&mut self, node: &Node, what: &str, regions: &[String]) -> Option<Country> {
        let text = node.text(self.findings, what)?;
        if text == "NO" && !node.is_quoted() {
            let help = Some("write \"NO\"".to_owned());
            let message = "unquoted `NO` is read as false by other readers of YAML";
            self.findings.error_with("T102", &node.place, message, help);
        }
        let assigned = is_assigned(text);
        if assigned || regions.iter().any(|region| region == text) {
            return Some(text.into());
        }
        let help = closest(text, regions.iter().map(String::as_str))
            .or_else(|| Some("countries are ISO 3166-1 alpha-2 codes in capitals".to_owned()));
        let message = format!("`{text}` is not {what}");
        self.findings.error_with("T101", &node.place, message, help);
        None
    }
}
