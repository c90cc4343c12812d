//! `tamis order`: legal orders, which widen what an authority gets, for the people they name.
//!
//! Whoever can write the registers' file can enter and approve; where the two approvers must be
//! different people by proof and not by word, let them use the admin API with a token each.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::registers_file::{Failure, PAGE, RegistersFile, enter, failed, listed, subjects};
use crate::policy::Policy;
use crate::registers::{
    OrderRecord, Record, Recorded, RegisterStore, Registers as _, order_to_json,
};
use crate::terms::Digest;

/// Arguments of `tamis order`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    tamis order enter --id ord-7 --recipient authority --authority 'Invented Court' \\\n    \
    --subject u1 --category identity.name --until 2027-01-31T00:00:00Z --config tamis.yaml\n  \
    tamis order approve --id ord-7 --by legal-a --config tamis.yaml\n  \
    tamis order approve --id ord-7 --by dpo --config tamis.yaml\n\n\
    An order counts once the rules' number of different approvers is reached, within its window.")]
pub(super) struct Order {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    file: RegistersFile,
}

#[derive(Subcommand)]
enum What {
    /// Enter an order. Its content never changes under its id.
    Enter {
        /// Its id.
        #[arg(long)]
        id: String,
        /// The recipient that may rely on it.
        #[arg(long)]
        recipient: String,
        /// Who gave it, in words.
        #[arg(long)]
        authority: String,
        /// `court`, `regulator` or `police`.
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// A file whose SHA-256 is kept with the order.
        #[arg(long, value_name = "FILE")]
        document: Option<std::path::PathBuf>,
        /// Whom it names; may be given several times; `-` reads one a line from standard input.
        #[arg(long = "subject", required = true)]
        subjects: Vec<String>,
        /// What it asks for; may be given several times.
        #[arg(long = "category", required = true)]
        categories: Vec<String>,
        /// From when on; without it from now on.
        #[arg(long)]
        from: Option<Timestamp>,
        /// Until when.
        #[arg(long)]
        until: Timestamp,
        /// Until when the people it names must not be told.
        #[arg(long)]
        gag_until: Option<Timestamp>,
    },
    /// Approve an order under your own name.
    Approve {
        /// Its id.
        #[arg(long)]
        id: String,
        /// Who approves.
        #[arg(long)]
        by: String,
    },
    /// End an order for good.
    Lift {
        /// Its id.
        #[arg(long)]
        id: String,
    },
    /// Print all orders, one a line as JSON, without the people they name.
    List,
    /// Print an order, without the people it names.
    Show {
        /// Its id.
        #[arg(long)]
        id: String,
    },
}

impl Order {
    pub(super) fn run(self) -> ExitCode {
        let what = self.what;
        self.file.with(|registers, policy| perform(what, registers, policy))
    }
}

fn perform(what: What, registers: &RegisterStore, policy: &Policy) -> Result<String, Failure> {
    match what {
        What::Enter {
            id,
            recipient,
            authority,
            kind,
            document,
            subjects: named,
            categories,
            from,
            until,
            gag_until,
        } => {
            let read = |file| std::fs::read(file).map_err(|error| failed(error.kind()));
            let document = document.map(read).transpose()?;
            let record = Record::Order(OrderRecord {
                id,
                recipient: recipient.into(),
                authority,
                kind,
                document: document.map(|bytes| Digest::of(&bytes)),
                subjects: subjects(&named)?,
                categories: categories.into_iter().map(Into::into).collect(),
                from: from.unwrap_or_else(Timestamp::now),
                until,
                gag_until,
                lifted_at: None,
            });
            let said = format!("entered; it needs {} approvals", policy.registers.order_approvers);
            enter(registers, policy, &record, &said)
        }
        What::Approve { id, by } => {
            let recorded = registers.approve_order(&id, &by).map_err(failed)?;
            let order = registers.order(&id).map_err(failed)?;
            let approvals = order.map_or(0, |order| order.approved_by.len());
            let how = if recorded == Recorded::New { "approved" } else { "approved already" };
            Ok(format!("{how}: {approvals} of {}", policy.registers.order_approvers))
        }
        What::Lift { id } => {
            registers.lift_order(&id).map_err(failed)?;
            Ok("lifted".to_owned())
        }
        What::Show { id } => {
            let order = registers.order(&id).map_err(failed)?;
            let order = order.ok_or_else(|| failed("no such order"))?;
            Ok(format!("{:#}", order_to_json(&order, policy, Timestamp::now())))
        }
        What::List => {
            let now = Timestamp::now();
            let page = |after: &str| registers.orders_after(after, PAGE).map_err(failed);
            listed(page, |order| (order.id.to_string(), order_to_json(order, policy, now)))
        }
    }
}
