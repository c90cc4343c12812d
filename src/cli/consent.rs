//! `tamis consent`: statements of data subjects, from the command line.
//!
//! Works beside a running gateway on the same file and is in force at its next lookup. The gateway
//! enters the change in the ledger. Names are checked against the rules, since a misspelt purpose
//! would withdraw nothing.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::registers_file::{self, Failure, RegistersFile, enter, failed};
use crate::policy::Policy;
use crate::registers::{
    BulkError, BulkForm, ConsentRecord, DisputeRecord, ErasureRecord, Evidence, Imported,
    NoticeRecord, ObjectionRecord, OneTimeGrantRecord, Record, RegisterStore, Registers as _,
    RestrictionRecord, check_person, check_purpose, check_recipient, one_a_line,
    statements_to_json,
};
use crate::terms::{
    CategoryPattern, ConsentEvent, ConsentStatus, DataSubject, PurposeId, PurposePattern,
    RecipientId,
};

/// Arguments of `tamis consent`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tamis consent give --subject u1 --purpose share.partner --recipient loyalty-partner --config tamis.yaml\n  \
    printf u1 | tamis consent withdraw --subject - --purpose 'share.*' --config tamis.yaml\n\n\
    `--subject -` reads the id from standard input, which keeps it out of the process list and the\n\
    shell's history.")]
pub(super) struct Consent {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    file: RegistersFile,
}

#[derive(clap::Args)]
struct Subject {
    /// The data subject's id; `-` reads it from standard input.
    #[arg(long)]
    subject: String,
}

#[derive(Subcommand)]
enum What {
    /// Record a consent to the purpose's present text.
    Give {
        #[command(flatten)]
        subject: Subject,
        /// The one purpose; it never covers what lies beneath.
        #[arg(long)]
        purpose: String,
        /// To whom; may be given several times.
        #[arg(long = "recipient")]
        recipients: Vec<String>,
        /// Only these categories; may be given several times.
        #[arg(long = "category")]
        categories: Vec<String>,
        /// Given in so many words.
        #[arg(long)]
        explicit: bool,
        /// When it ends by itself, such as 2027-11-01T09:00:00Z.
        #[arg(long)]
        expires: Option<Timestamp>,
        /// Its id; without it a fresh one.
        #[arg(long)]
        id: Option<String>,
    },
    /// Let one recipient have a subject's data once.
    GrantOnce {
        #[command(flatten)]
        subject: Subject,
        /// The one purpose.
        #[arg(long)]
        purpose: String,
        /// To whom.
        #[arg(long)]
        recipient: String,
        /// When it ends unused.
        #[arg(long)]
        expires: Option<Timestamp>,
        /// Its id; without it a fresh one.
        #[arg(long)]
        id: Option<String>,
    },
    /// Withdraw every consent for a purpose and what lies beneath it.
    Withdraw {
        #[command(flatten)]
        subject: Subject,
        /// The purpose or pattern, such as 'marketing.*'.
        #[arg(long)]
        purpose: String,
        /// Only as far as consents name this recipient.
        #[arg(long)]
        recipient: Option<String>,
    },
    /// Print all that a subject has said, as JSON.
    Show {
        #[command(flatten)]
        subject: Subject,
    },
    /// Print every act of a subject, oldest first and with its proof, as JSON: also what was withdrawn,
    /// lifted or answered since.
    History {
        #[command(flatten)]
        subject: Subject,
    },
    /// Record that a subject was shown the purpose's present text.
    Notice {
        #[command(flatten)]
        subject: Subject,
        /// The purpose.
        #[arg(long)]
        purpose: String,
    },
    /// Record an objection.
    Object {
        #[command(flatten)]
        subject: Subject,
        /// The purpose or pattern.
        #[arg(long)]
        purpose: String,
    },
    /// Restrict processing.
    Restrict {
        #[command(flatten)]
        subject: Subject,
        /// Which categories; may be given several times; without it all.
        #[arg(long = "category")]
        categories: Vec<String>,
        /// Until when; without it until lifted.
        #[arg(long)]
        until: Option<Timestamp>,
    },
    /// Lift a person's erasures under your own name; two different people are needed.
    LiftErasure {
        #[command(flatten)]
        subject: Subject,
        /// Who lifts.
        #[arg(long)]
        by: String,
    },
    /// Lift every restriction, but for disputes; or with --objection the objections to exactly that pattern.
    Lift {
        #[command(flatten)]
        subject: Subject,
        /// The purpose or pattern of the objection.
        #[arg(long, value_name = "PURPOSE")]
        objection: Option<String>,
    },
    /// Note that a subject says that data are wrong. What follows, the rules say (`disputed_data`).
    Dispute {
        #[command(flatten)]
        subject: Subject,
        /// Which categories; may be given several times.
        #[arg(long = "category", required = true)]
        categories: Vec<String>,
    },
    /// Resolve what a subject disputes.
    Resolve {
        #[command(flatten)]
        subject: Subject,
        /// Exactly this category or pattern; without it all.
        #[arg(long)]
        category: Option<String>,
    },
    /// Erase: nothing is disclosed from now on.
    Erase {
        #[command(flatten)]
        subject: Subject,
        /// A purpose that goes on; may be given several times.
        #[arg(long = "except", value_name = "PURPOSE")]
        except: Vec<String>,
    },
    /// Take records or receipts from a file, one JSON object a line: all of them or none.
    Import {
        /// The file.
        file: PathBuf,
        /// `records`, `kantara` (consent receipts 1.1) or `iso-27560`.
        #[arg(long, default_value = "records", value_parser = form)]
        form: BulkForm,
    },
    /// Write every record to a new file that is its owner's alone, as `import` takes them. Approvals of
    /// orders and requests that wait for an answer are left out.
    Export {
        /// The file, which must not be there yet.
        file: PathBuf,
    },
}

impl Consent {
    pub(super) fn run(self) -> ExitCode {
        let what = self.what;
        self.file.with(|registers, policy| perform(what, registers, policy))
    }
}

fn perform(what: What, registers: &RegisterStore, policy: &Policy) -> Result<String, Failure> {
    let now = Timestamp::now();
    let digest = |purpose: &str| policy.purposes.get(purpose).map(|known| known.text_digest);
    let take = |record: Record, said: &str| enter(registers, policy, &record, said);
    match what {
        What::Give { subject, purpose, recipients, categories, explicit, expires, id } => {
            let id = id.unwrap_or_else(|| format!("con_{}", uuid::Uuid::now_v7().simple()));
            let said = format!("given: {id}");
            let record = Record::Consent(ConsentRecord {
                id,
                subject: subject.read()?,
                purpose_text_digest: digest(&purpose),
                purpose: PurposeId::from(purpose),
                recipients: recipients.into_iter().map(Into::into).collect(),
                categories: categories.into_iter().map(Into::into).collect(),
                explicit,
                expires_at: expires,
                events: vec![ConsentEvent { at: now, status: ConsentStatus::Given }],
                evidence: Evidence { source: Some("tamis consent".into()), ..Evidence::default() },
            });
            take(record, &said)
        }
        What::GrantOnce { subject, purpose, recipient, expires, id } => {
            let id = id.unwrap_or_else(|| format!("grant_{}", uuid::Uuid::now_v7().simple()));
            let said = format!("granted once: {id}");
            let record = Record::OneTimeGrant(OneTimeGrantRecord {
                id,
                subject: subject.read()?,
                purpose: purpose.into(),
                recipient: recipient.into(),
                granted_at: now,
                expires_at: expires,
                used_by: None,
            });
            take(record, &said)
        }
        What::Withdraw { subject, purpose, recipient } => {
            let (subject, purpose) = (subject.read()?, PurposePattern::new(&purpose));
            check_person(policy, &subject).map_err(failed)?;
            check_purpose(policy, &purpose).map_err(failed)?;
            if let Some(recipient) = &recipient {
                check_recipient(policy, recipient).map_err(failed)?;
            }
            let recipient = recipient.map(RecipientId::from);
            let ended =
                registers.withdraw(&subject, &purpose, recipient.as_ref()).map_err(failed)?;
            Ok(format!("withdrawn: {ended} consents"))
        }
        What::Show { subject } => {
            let said = registers.statements(&subject.read()?).map_err(failed)?;
            Ok(format!("{:#}", statements_to_json(&said, now)))
        }
        What::History { subject } => {
            let acts = registers.acts_of(&subject.read()?).map_err(failed)?;
            Ok(format!("{:#}", serde_json::Value::Array(acts)))
        }
        What::Notice { subject, purpose } => {
            let (id, subject) = (None, subject.read()?);
            let purpose_text_digest = digest(&purpose);
            let purpose = PurposeId::from(purpose);
            let notice = NoticeRecord { id, subject, purpose, purpose_text_digest, shown_at: now };
            take(Record::Notice(notice), "noted")
        }
        What::Object { subject, purpose } => {
            let objection = ObjectionRecord {
                id: None,
                subject: subject.read()?,
                purpose: PurposePattern::new(&purpose),
                since: now,
                channel: None,
                source: Some("tamis consent".into()),
            };
            take(Record::Objection(objection), "objected")
        }
        What::Restrict { subject, categories, until } => {
            let named = if categories.is_empty() { vec!["*".to_owned()] } else { categories };
            let restriction = RestrictionRecord {
                id: None,
                subject: subject.read()?,
                categories: named.iter().map(|name| CategoryPattern::new(name)).collect(),
                ground: None,
                since: now,
                until,
            };
            take(Record::Restriction(restriction), "restricted")
        }
        What::LiftErasure { subject, by } => {
            let subject = subject.read()?;
            check_person(policy, &subject).map_err(failed)?;
            let became = registers.lift_erasures(&subject, &by).map_err(failed)?;
            Ok(format!("lifted: {}, waiting for somebody else: {}", became.lifted, became.waiting))
        }
        What::Lift { subject, objection } => {
            let subject = subject.read()?;
            let lifted = match objection {
                Some(pattern) => registers.lift_objection(&subject, &PurposePattern::new(&pattern)),
                None => registers.lift_restrictions(&subject),
            };
            Ok(format!("lifted: {}", lifted.map_err(failed)?))
        }
        What::Dispute { subject, categories } => {
            let dispute = DisputeRecord {
                subject: subject.read()?,
                categories: categories.iter().map(|name| CategoryPattern::new(name)).collect(),
                since: now,
            };
            take(Record::Dispute(dispute), "disputed")
        }
        What::Resolve { subject, category } => {
            let category = category.as_deref().map(CategoryPattern::new);
            let resolved = registers.resolve_disputes(&subject.read()?, category.as_ref());
            Ok(format!("resolved: {}", resolved.map_err(failed)?))
        }
        What::Erase { subject, except } => {
            let erasure = ErasureRecord {
                id: None,
                subject: subject.read()?,
                requested_at: now,
                effective_at: now,
                except: except.iter().map(|pattern| PurposePattern::new(pattern)).collect(),
                told: false,
            };
            take(Record::Erasure(erasure), "erased")
        }
        What::Import { file, form } => import(&file, form, registers, policy),
        What::Export { file } => export(&file, registers),
    }
}

fn form(word: &str) -> Result<BulkForm, String> {
    BulkForm::parse(word).ok_or_else(|| "records, kantara or iso-27560".to_owned())
}

/// Whoever may write the file may enter whatever it holds.
fn import(
    file: &std::path::Path,
    form: BulkForm,
    registers: &RegisterStore,
    policy: &Policy,
) -> Result<String, Failure> {
    let text = std::fs::read(file).map_err(|error| failed(error.kind()))?;
    let lines = one_a_line(form, &text);
    let text = lines.as_deref().unwrap_or(&text);
    match registers.import(form, text, policy, &|_| true) {
        Ok(Imported { records, new }) => {
            Ok(format!("imported: {records} records, {new} of them new"))
        }
        Err(BulkError::Wrong { lines, count }) => {
            let named = lines.len();
            let mut said: Vec<String> =
                lines.iter().map(|wrong| format!("line {}: {}", wrong.line, wrong.why)).collect();
            if count > named {
                said.push(format!("and {} more lines", count - named));
            }
            said.push("nothing was imported".into());
            Err(Failure::Failed(said.join("\n")))
        }
        Err(error @ BulkError::Unavailable(_)) => Err(failed(error)),
    }
}

fn export(file: &std::path::Path, registers: &RegisterStore) -> Result<String, Failure> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut out = BufWriter::new(made.map_err(|error| failed(error.kind()))?);
    let written = registers.export(&mut out).and_then(|count| {
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(count)
    });
    match written {
        Ok(count) => Ok(format!("exported: {count} records")),
        Err(error) => {
            // Half of what people have said is worse than nothing.
            let left = std::fs::remove_file(file).is_err();
            let left = if left { "; what was written is not all" } else { "" };
            Err(failed(format!("{error}{left}")))
        }
    }
}

impl Subject {
    fn read(self) -> Result<DataSubject, Failure> {
        registers_file::subject(&self.subject)
    }
}
