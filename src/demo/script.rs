//! What the tour of each policy shows, as data: who said what beforehand, and the scenes in order.

use super::backend::BackendKind;

/// A policy that the demo can show. Its rules are part of the program, so that the demo runs
/// anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Show {
    /// A marketplace: members, orders, a courier, advertisers, a loyalty scheme.
    Letsmasak,
    /// A payment service: customers, payments, a help desk, fraud detection.
    Webllet,
    /// Door locks: owners, guests, a support desk.
    WeLock,
}

/// What a data subject said before the tour begins.
pub(super) enum Said {
    /// They were shown the text of a purpose.
    Notice { subject: &'static str, purpose: &'static str },
    /// They consented to a purpose, and to a recipient where the purpose asks for one.
    Consent { subject: &'static str, purpose: &'static str, recipient: Option<&'static str> },
}

/// One scene. `title` says what is seen; the rest is what is done.
pub(super) enum Scene {
    /// The backend is asked directly, as only the gateway should.
    Backend { title: &'static str, path: &'static str },
    /// A recipient asks the gateway, and says what for.
    Asks { title: &'static str, recipient: &'static str, purpose: &'static str, path: &'static str },
    /// A data subject withdraws a consent, by the command that operators have.
    Withdraw {
        title: &'static str,
        subject: &'static str,
        purpose: &'static str,
        recipient: &'static str,
    },
    /// The ledger is verified, by the command that auditors have.
    Ledger { title: &'static str },
}

impl Show {
    /// The policy's id, which is also the name of its folder under `rules/`.
    #[must_use]
    pub const fn policy(self) -> &'static str {
        match self {
            Self::Letsmasak => "letsmasak",
            Self::Webllet => "webllet",
            Self::WeLock => "we-lock",
        }
    }

    /// Its rules.
    #[must_use]
    pub const fn rules(self) -> &'static str {
        match self {
            Self::Letsmasak => include_str!("../../rules/letsmasak/rules.yaml"),
            Self::Webllet => include_str!("../../rules/webllet/rules.yaml"),
            Self::WeLock => include_str!("../../rules/we-lock/rules.yaml"),
        }
    }

    /// The backend it guards.
    #[must_use]
    pub const fn backend(self) -> BackendKind {
        match self {
            Self::Letsmasak => BackendKind::Marketplace,
            Self::Webllet => BackendKind::Payments,
            Self::WeLock => BackendKind::Locks,
        }
    }

    /// The person whom tokens of role `self` and `user` stand for.
    #[must_use]
    pub const fn person(self) -> &'static str {
        match self {
            Self::Letsmasak => "u-1001",
            Self::Webllet => "c-1001",
            Self::WeLock => "w-1001",
        }
    }

    pub(super) const fn said(self) -> &'static [Said] {
        match self {
            Self::Letsmasak => &LETSMASAK_SAID,
            Self::Webllet => &[],
            Self::WeLock => &WE_LOCK_SAID,
        }
    }

    pub(super) const fn scenes(self) -> &'static [Scene] {
        match self {
            Self::Letsmasak => &LETSMASAK,
            Self::Webllet => &WEBLLET,
            Self::WeLock => &WE_LOCK,
        }
    }
}

const SHARE: &str = "share.partner";
const LOYALTY: &str = "loyalty-partner";

const fn approves(subject: &'static str) -> [Said; 2] {
    [
        Said::Notice { subject, purpose: SHARE },
        Said::Consent { subject, purpose: SHARE, recipient: Some(LOYALTY) },
    ]
}

const LETSMASAK_SAID: [Said; 7] = {
    let [a, b] = approves("u-1001");
    let [c, d] = approves("u-1003");
    let [e, f] = approves("u-1006");
    [
        a,
        b,
        c,
        d,
        e,
        f,
        Said::Consent { subject: "u-1001", purpose: "personalise.ads", recipient: None },
    ]
};

const LETSMASAK: [Scene; 9] = [
    Scene::Backend {
        title: "What the backend tells anyone who reaches it",
        path: "/v2/users/u-1001",
    },
    Scene::Asks {
        title: "The same as the courier, who delivers a parcel",
        recipient: "courier",
        purpose: "service.delivery",
        path: "/v2/users/u-1001",
    },
    Scene::Asks {
        title: "The same as the ads engine: u-1001 agreed to personal ads",
        recipient: "ads-engine",
        purpose: "personalise.ads",
        path: "/v2/users/u-1001",
    },
    Scene::Asks {
        title: "The same as the loyalty partner: u-1001 approved of it",
        recipient: LOYALTY,
        purpose: SHARE,
        path: "/v2/users/u-1001",
    },
    Scene::Asks {
        title: "u-1002 never approved: for the loyalty partner there is no such member",
        recipient: LOYALTY,
        purpose: SHARE,
        path: "/v2/users/u-1002",
    },
    Scene::Asks {
        title: "Of the first eight members, the loyalty partner sees those who approved",
        recipient: LOYALTY,
        purpose: SHARE,
        path: "/v2/users?limit=8",
    },
    Scene::Withdraw {
        title: "u-1003 changes their mind",
        subject: "u-1003",
        purpose: SHARE,
        recipient: LOYALTY,
    },
    Scene::Asks {
        title: "The same list, one fewer",
        recipient: LOYALTY,
        purpose: SHARE,
        path: "/v2/users?limit=8",
    },
    Scene::Ledger { title: "Every disclosure was entered before it left" },
];

const WEBLLET: [Scene; 5] = [
    Scene::Backend {
        title: "What the backend tells anyone who reaches it",
        path: "/v1/tickets/t-1001",
    },
    Scene::Asks {
        title: "The same as the help desk",
        recipient: "help-desk",
        purpose: "service.support",
        path: "/v1/tickets/t-1001",
    },
    Scene::Asks {
        title: "A customer's payments as fraud detection sees them",
        recipient: "fraud-engine",
        purpose: "fraud.detect",
        path: "/v1/customers/c-1001/payments",
    },
    Scene::Asks {
        title: "The same payments as the auditor",
        recipient: "auditor",
        purpose: "governance.audit",
        path: "/v1/customers/c-1001/payments",
    },
    Scene::Ledger { title: "Every disclosure was entered before it left" },
];

const WE_LOCK_SAID: [Said; 1] =
    [Said::Consent { subject: "w-1001", purpose: "personalise", recipient: None }];

const WE_LOCK: [Scene; 5] = [
    Scene::Backend {
        title: "What the backend tells anyone who reaches it",
        path: "/api/locks/lock-1001",
    },
    Scene::Asks {
        title: "The same as the lock cloud",
        recipient: "lock-cloud",
        purpose: "service.lock",
        path: "/api/locks/lock-1001",
    },
    Scene::Asks {
        title: "The same as the support desk",
        recipient: "support-partner",
        purpose: "service.support",
        path: "/api/locks/lock-1001",
    },
    Scene::Asks {
        title: "The same as the insight team, for research",
        recipient: "insight-team",
        purpose: "improve.research",
        path: "/api/locks/lock-1001",
    },
    Scene::Ledger { title: "Every disclosure was entered before it left" },
];
