//! `tamis minimize`: a JSON document on standard input, as one recipient would get it.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;

use super::REJECTED;
use super::rules_file::RulesFile;
use crate::decide::{Caller, Facts, KnownSubject, Named, decide};
use crate::gateway::minimizing::{Minimizing, MinimizingError};
use crate::gateway::reading::{self, Reading};
use crate::keys::KeyRing;
use crate::minimize::JsonLimits;
use crate::minimize::link::Origins;
use crate::registers::{RegisterStore, Registers, RegistersUnavailable};
use crate::terms::{DataSubject, Personal, PurposeId, RecipientId, RefusalReason, Statements};

/// Arguments of `tamis minimize`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: what the courier gets of one user, from a file instead of the backend.
  tamis minimize --config .demo/tamis.yaml --route 'GET /v2/users/u1' \\
    --recipient courier --purpose service.delivery < user.json

Exit codes: 0 minimized, 1 refused or not JSON (what was written by then is no whole document),
2 usage, 64 rules rejected.")]
pub(super) struct Minimize {
    #[command(flatten)]
    rules: RulesFile,
    /// Method and path, with values in the place of parameters: 'GET /v2/users/u1'. Tokens and cursors
    /// in path and query are opened, as the gateway opens them.
    #[arg(long)]
    route: String,
    /// To whom.
    #[arg(long)]
    recipient: String,
    /// What for; may be given several times. Without it the recipient's default counts.
    #[arg(long = "purpose")]
    purposes: Vec<String>,
    /// The person who asks, for recipients who are persons.
    #[arg(long)]
    person: Option<String>,
    /// The case it is done for, by its id in the registers.
    #[arg(long)]
    case: Option<String>,
    /// The order it rests on, by its id in the registers.
    #[arg(long)]
    order: Option<String>,
    /// Key ring for pseudonyms. Without it `TAMIS_KEY_RING` counts, then that of --config, as for the
    /// gateway. Without any, keys are made up for this run and pseudonyms differ each time.
    #[arg(long)]
    key_ring: Option<PathBuf>,
}

impl Minimize {
    pub(super) fn run(self) -> ExitCode {
        let stderr = io::stderr();
        match self.minimize(&mut io::stdin().lock(), &mut io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failure::Rules(text)) => {
                let _ = stderr.lock().write_all(text.as_bytes());
                ExitCode::from(REJECTED)
            }
            Err(Failure::Usage(text)) => {
                let _ = writeln!(stderr.lock(), "tamis minimize: {text}");
                ExitCode::from(2)
            }
            Err(Failure::Refused(text)) => {
                let _ = writeln!(stderr.lock(), "tamis minimize: {text}");
                ExitCode::FAILURE
            }
        }
    }

    fn minimize(&self, input: &mut dyn Read, output: &mut dyn Write) -> Result<(), Failure> {
        let loaded = self.rules.load().map_err(Failure::Rules)?;
        let policy = Arc::new(loaded.policy);
        let registers: Arc<dyn Registers> = match &loaded.registers {
            Some(place) => {
                Arc::new(RegisterStore::open(place).map_err(|e| Failure::Refused(chain(&e)))?)
            }
            None => Arc::new(NobodySaidAnything),
        };
        // With a configuration, the keys are those of the gateway: the environment's before the file's.
        let keys = match (&self.key_ring, &loaded.key_ring) {
            (Some(file), _) => KeyRing::load(file),
            (None, Some(place)) => KeyRing::open_at(place),
            (None, None) => match KeyRing::from_environment() {
                Ok(None) => KeyRing::ephemeral(),
                Ok(Some(ring)) => Ok(ring),
                Err(fault) => Err(fault),
            },
        };
        let keys = keys.map_err(|e| Failure::Refused(chain(&e)))?;
        let now = Timestamp::now();

        let asked = self.route.split_once(' ').ok_or_else(|| {
            Failure::Usage("--route is a method and a path: 'GET /v2/users/u1'".into())
        })?;
        let caller = Caller {
            recipient: RecipientId::from(self.recipient.as_str()),
            person: self.person.as_deref().map(|id| Personal::new(id.into())),
            purposes: None,
        };
        let purposes: Vec<PurposeId> = self.purposes.iter().map(|id| id.as_str().into()).collect();
        let Reading { route, query, subjects, is_of_nobody } =
            reading::read(&policy, &keys, &caller, &purposes, asked)
                .map_err(|misread| Failure::Usage(format!("--route: {misread}")))?;
        let known = known_subjects(subjects, registers.as_ref())
            .map_err(|e| Failure::Refused(chain(&e)))?;
        let unknown = |error| Failure::Refused(chain(&error));
        let case = Named::look_up(self.case.as_deref(), |id| registers.case(id));
        let order = Named::look_up(self.order.as_deref(), |id| registers.order(id));
        let (case, order) = (case.map_err(unknown)?, order.map_err(unknown)?);
        let facts = Facts {
            caller: &caller,
            declared_purposes: &purposes,
            route: &route,
            query: &query,
            case: &case,
            order: &order,
            gpc: false,
            known: &known,
        };
        let permit = decide(&policy, &facts, "d_command-line".into(), now).map_err(|refusal| {
            let detail = refusal.detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
            Failure::Refused(format!("refused: {}{detail}", refusal.reason.code()))
        })?;
        // As late as the gateway says so: who is refused for another reason is refused for that.
        if is_of_nobody {
            return Err(Failure::Refused(format!("refused: {}", RefusalReason::NotFound.code())));
        }
        let limits = JsonLimits::default();
        let keys = (Arc::new(keys), Arc::new(Origins::made_up(&policy)));
        let mut body = Minimizing::json(&Arc::new(permit), vec![], registers, keys, limits, now)
            .map_err(in_words)?;
        let mut piece = vec![0; 64 * 1024];
        let mut out = Vec::new();
        loop {
            let read = input.read(&mut piece).map_err(|e| Failure::Refused(chain(&e)))?;
            let step = if read == 0 {
                body.finish(&mut out, Timestamp::now())
            } else {
                body.feed(&piece[..read], &mut out, Timestamp::now())
            };
            output.write_all(&out).map_err(|e| Failure::Refused(chain(&e)))?;
            out.clear();
            // There is no ledger here in which they would be entered.
            drop(body.take_met());
            step.map_err(in_words)?;
            if read == 0 {
                return output.flush().map_err(|e| Failure::Refused(chain(&e)));
            }
        }
    }
}

enum Failure {
    Rules(String),
    Usage(String),
    Refused(String),
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn in_words(error: MinimizingError) -> Failure {
    Failure::Refused(match error {
        MinimizingError::Malformed(fault) => fault.to_string(),
        MinimizingError::Refused(reason) => format!("refused: {}", reason.code()),
        MinimizingError::Registers(unavailable) => unavailable.to_string(),
    })
}

/// Subjects whom the request names, with what they have said.
fn known_subjects(
    subjects: Vec<(usize, DataSubject)>,
    registers: &dyn Registers,
) -> Result<Vec<KnownSubject>, RegistersUnavailable> {
    let known = |(role, id): (usize, DataSubject)| {
        let statements = registers.statements(&id)?;
        Ok(KnownSubject { role, id, statements })
    };
    subjects.into_iter().map(known).collect()
}

/// Without a register nobody has consented, objected or been erased.
struct NobodySaidAnything;

impl Registers for NobodySaidAnything {
    fn statements(&self, _: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        Ok(Arc::default())
    }
}
