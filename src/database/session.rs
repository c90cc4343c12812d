//! One connection to PostgreSQL, for callers that wait.
//!
//! Every call ends within the session's patience, whatever the network does; after a call that came too
//! late the session is of no more use. Errors carry the server's code and never its words, which may
//! quote a row.

use std::collections::HashMap;
use std::fs;
use std::future::Future;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Config, Statement};
use zeroize::Zeroizing;

use super::fault::StoreError;
use super::sql::{Datum, Row, Tables};
use super::tls::Tls;

/// Where the server is, and how long it is waited for.
#[derive(Clone)]
pub(crate) struct Server {
    config: Config,
    tls: Tls,
    schema: &'static str,
    handle: Handle,
    patience: Duration,
}

/// Where a server is named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a> {
    /// A file, its owner's alone, that holds `postgresql://user:password@host:5432/database`.
    pub(crate) url_file: &'a Path,
    /// Authorities that the server's certificate must come from; not needed for a Unix socket.
    pub(crate) ca: Option<&'a Path>,
}

impl Server {
    /// Reads what `address` names. Tables are looked for in `schema`.
    pub(crate) fn read(
        address: Address<'_>,
        schema: &'static str,
        handle: Handle,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let Address { url_file, ca } = address;
        let mut config = config(url_file)?;
        let is_socket = |host: &Host| matches!(host, Host::Unix(_));
        let sockets = config.get_hosts().iter().filter(|host| is_socket(host)).count();
        let tls = if sockets == 0 && !config.get_hosts().is_empty() {
            config.ssl_mode(SslMode::Require);
            let authorities = ca.ok_or(StoreError::Settings(
                "a server over the network needs `ca`: the authorities that its certificate comes from",
            ))?;
            Tls::trusting(authorities)?
        } else if sockets == config.get_hosts().len() && sockets > 0 {
            config.ssl_mode(SslMode::Disable);
            Tls::trusting_nobody().map_err(|_| StoreError::Settings("TLS cannot be set up"))?
        } else {
            return Err(StoreError::Settings("name hosts, all over the network or all sockets"));
        };
        config
            .connect_timeout(patience)
            .tcp_user_timeout(patience)
            // A replica cannot take what must be durable, and may be behind.
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .application_name("tamis");
        Ok(Self { config, tls, schema, handle, patience })
    }

    /// Under this name on the server, of at most 63 letters.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.config.application_name(name);
        self
    }

    /// Connects. Whoever holds the receiver hears of every notice and of the end of the connection.
    pub(crate) fn connect(&self) -> Result<(Session, Receiver<()>), StoreError> {
        let (config, tls) = (self.config.clone(), self.tls.clone());
        let (client, mut connection) =
            wait(&self.handle, self.patience, async move { config.connect(tls).await })?;
        let (speaks, hears) = sync_channel(1);
        let driver = self.handle.spawn(async move {
            while let Some(message) =
                std::future::poll_fn(|context| connection.poll_message(context)).await
            {
                match message {
                    // One that waits already says the same.
                    Ok(AsyncMessage::Notification(_)) => drop(SyncSender::try_send(&speaks, ())),
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        let session = Session {
            handle: self.handle.clone(),
            client: Arc::new(client),
            driver: driver.abort_handle(),
            prepared: Mutex::default(),
            patience: self.patience,
        };
        session.prepare_for_use(self.schema)?;
        Ok((session, hears))
    }
}

/// The address in `file`, which only its owner may read: it may hold a password.
fn config(file: &Path) -> Result<Config, StoreError> {
    if fs::metadata(file)?.mode() & 0o077 != 0 {
        return Err(StoreError::Settings("the file with the address is to be its owner's alone"));
    }
    let text = Zeroizing::new(fs::read_to_string(file)?);
    // Without the parser's words, which quote what it read.
    text.trim().parse().map_err(|_| StoreError::Settings("the address of the server is none"))
}

/// A connection.
pub(crate) struct Session {
    handle: Handle,
    client: Arc<Client>,
    driver: AbortHandle,
    prepared: Mutex<HashMap<String, Statement>>,
    patience: Duration,
}

impl Drop for Session {
    fn drop(&mut self) {
        // A driver that waits for a network that has stopped would wait for ever.
        self.driver.abort();
    }
}

impl Session {
    /// Sets what every statement relies on, and refuses a server that does not keep what it says.
    fn prepare_for_use(&self, schema: &str) -> Result<(), StoreError> {
        let milliseconds = self.patience.as_millis();
        // A transaction that this process stopped in the middle of lets go of its locks.
        self.batch(format!(
            "SET search_path = {schema}; SET statement_timeout = {milliseconds};
             SET idle_in_transaction_session_timeout = {milliseconds}"
        ))?;
        let query = "SELECT current_setting('fsync'), current_setting('synchronous_commit')";
        let row = self.row(query, &[])?.ok_or(StoreError::Garbage("settings"))?;
        if row.text(0)? != "on" {
            return Err(StoreError::Settings("the server runs with fsync off: it forgets"));
        }
        if matches!(row.text(1)?.as_str(), "off" | "local") {
            self.batch("SET synchronous_commit = on")?;
        }
        Ok(())
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.client.is_closed()
    }

    /// Statements without values, one after the other.
    pub(crate) fn batch(&self, sql: impl Into<String>) -> Result<(), StoreError> {
        let (client, sql) = (Arc::clone(&self.client), sql.into());
        wait(&self.handle, self.patience, async move { client.batch_execute(&sql).await })
    }

    fn statement(&self, sql: &str) -> Result<Statement, StoreError> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = prepared.get(sql) {
            return Ok(statement.clone());
        }
        let (client, text) = (Arc::clone(&self.client), sql.replace('?', "$"));
        let statement =
            wait(&self.handle, self.patience, async move { client.prepare(&text).await })?;
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Tables for Session {
    fn execute(&self, sql: &str, values: &[Datum]) -> Result<usize, StoreError> {
        let (client, statement) = (Arc::clone(&self.client), self.statement(sql)?);
        let values = values.to_vec();
        let count = wait(&self.handle, self.patience, async move {
            client.execute_raw(&statement, &values).await
        })?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn rows(&self, sql: &str, values: &[Datum]) -> Result<Vec<Row>, StoreError> {
        let (client, statement) = (Arc::clone(&self.client), self.statement(sql)?);
        let values: Vec<Datum> = values.to_vec();
        let rows = wait(&self.handle, self.patience, async move {
            let values: Vec<&(dyn ToSql + Sync)> =
                values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            client.query(&statement, &values).await
        })?;
        rows.iter().map(row).collect()
    }

    fn is_among(&self) -> &'static str {
        "= ANY (?1)"
    }
}

/// Runs `future` on the store's own threads and waits for it, as long as it is worth waiting.
fn wait<T: Send + 'static>(
    handle: &Handle,
    patience: Duration,
    future: impl Future<Output = Result<T, tokio_postgres::Error>> + Send + 'static,
) -> Result<T, StoreError> {
    let (sender, receiver) = sync_channel(1);
    let task = handle.spawn(async move {
        let _ = sender.send(future.await);
    });
    let until = Instant::now() + patience;
    match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(result) => Ok(result?),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            task.abort();
            Err(StoreError::Late)
        }
    }
}

fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let mut data = Vec::with_capacity(row.len());
    for (at, column) in row.columns().iter().enumerate() {
        data.push(match *column.type_() {
            Type::TEXT | Type::VARCHAR | Type::NAME => row.try_get::<_, Option<String>>(at)?.into(),
            Type::INT8 => row.try_get::<_, Option<i64>>(at)?.into(),
            Type::INT4 => row.try_get::<_, Option<i32>>(at)?.map(i64::from).into(),
            Type::BOOL => row.try_get::<_, Option<bool>>(at)?.into(),
            Type::VOID => Datum::Null,
            _ => return Err(StoreError::Garbage("kind of value")),
        });
    }
    Ok(Row(data))
}

impl std::fmt::Debug for Datum {
    /// `ToSql` asks for it; a value is not for printing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("‹withheld›")
    }
}

impl ToSql for Datum {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Number(number) => number.to_sql_checked(kind, out),
            Self::Flag(flag) => flag.to_sql_checked(kind, out),
            Self::Texts(texts) => texts.to_sql_checked(kind, out),
        }
    }

    /// Each kind of value is checked for itself.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
