//! A PostgreSQL server of our own: in a temporary folder, on a free port, gone with the tests.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tamis::identity::development::Authority;
use tamis::observe::Metrics;
use tamis::registers::{PostgresSettings, RegisterStore};

/// What the gateways' role is let in with.
const PASSWORD: &str = "of-the-tests-only";

/// One server.
pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) port: u16,
    process: Child,
}

/// What runs the server, and takes it and its folder away when this process ends, however it ends:
/// then nobody holds the other end of its standard input any more.
const KEEPER: &str = r#"folder="$1"; shift
"$@" >"$folder/log" 2>&1 &
server=$!
cat >/dev/null
kill -s CONT "$server" 2>/dev/null
kill -s QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$folder""#;

impl Server {
    /// A new, empty one.
    pub(crate) fn start() -> Self {
        let folder = new_folder();
        run(
            "initdb",
            &["-D", &text(&folder.join("data")), "-U", "owner", "--no-sync", "-E", "UTF8"],
        );
        let data = folder.join("data");
        let now = Timestamp::now();
        let authority = Authority::generate(now).expect("an authority");
        let names = ["localhost", "127.0.0.1"];
        let issued = authority.issue_server(&names, now).expect("a certificate");
        write(&folder.join("ca.pem"), authority.certificate());
        write(&data.join("server.crt"), &issued.certificate);
        write(&data.join("server.key"), &issued.key);
        write(
            &data.join("pg_hba.conf"),
            "local all,replication owner trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
        );
        give_away(&folder);
        let server = Self::run(folder);
        server.sql("postgres", &format!("CREATE ROLE gateway LOGIN PASSWORD '{PASSWORD}'"));
        server.sql("postgres", "CREATE DATABASE template_of_registers OWNER gateway");
        let seat = tempfile::tempdir().expect("a folder");
        let settings = server.settings("template_of_registers", seat.path(), server.port);
        RegisterStore::migrate(&settings, None).expect("migrates");
        server
    }

    /// Another server on a copy of this one's files as they are now.
    pub(crate) fn copy(&self) -> Self {
        // Online: the copy recovers as after a crash, from where the backup began.
        let folder = new_folder();
        give_away(&folder);
        let socket = text(&self.folder);
        let (port, to) = (self.port.to_string(), text(&folder.join("data")));
        let how =
            ["-h", &socket, "-p", &port, "-U", "owner", "-D", &to, "-X", "stream", "-c", "fast"];
        run("pg_basebackup", &how);
        fs::copy(self.folder.join("ca.pem"), folder.join("ca.pem")).expect("copied");
        Self::run(folder)
    }

    fn run(folder: PathBuf) -> Self {
        let port = free_port();
        let process = keep(&folder, port);
        let server = Self { folder, port, process };
        server.wait_until_ready();
        server
    }

    /// Runs it again after it was killed, where it was.
    pub(crate) fn restart(&mut self) {
        // Not left to the keeper: that would take the folder away with it.
        let lock = format!(".s.PGSQL.{}.lock", self.port);
        for left in ["data/postmaster.pid", &lock] {
            let _ = fs::remove_file(self.folder.join(left));
        }
        self.process = keep(&self.folder, self.port);
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        let until = Instant::now() + Duration::from_mins(1);
        let (socket, port) = (text(&self.folder), self.port.to_string());
        loop {
            let mut ready = command("pg_isready", &["-q", "-h", &socket, "-p", &port]);
            if ready.status().is_ok_and(|status| status.success()) {
                return;
            }
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "the server does not start: {log}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Statements under the role that owns everything.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let (socket, port) = (text(&self.folder), self.port.to_string());
        let how = [
            "-h",
            &socket,
            "-p",
            &port,
            "-U",
            "owner",
            "-d",
            database,
            "-qAtX",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statements,
        ];
        run("psql", &how)
    }

    /// For a gateway that reaches the server through `port`; its files are in `seat`.
    pub(crate) fn settings(&self, database: &str, seat: &Path, port: u16) -> PostgresSettings {
        let url_file = seat.join("registers.url");
        let url = format!("postgresql://gateway:{PASSWORD}@localhost:{port}/{database}");
        let mut file = fs::OpenOptions::new();
        let file = file.create(true).truncate(true).write(true).mode(0o600).open(&url_file);
        file.and_then(|mut file| file.write_all(url.as_bytes())).expect("written");
        PostgresSettings {
            url_file,
            ca: Some(self.folder.join("ca.pem")),
            node: "gw-test".into(),
            mark: seat.join("registers.mark"),
            max_staleness: Duration::from_mins(1),
        }
    }

    /// The authority's certificate, for a server that takes another one's place.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Sends a signal to the server and everything it has started.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("runs");
        let pid = pid.lines().next().expect("begins with its number").to_owned();
        let mut pids = children(&pid);
        pids.push(pid);
        let mut kill = Command::new("kill");
        kill.arg(format!("-{signal}")).args(&pids).stderr(Stdio::null());
        // One of them may have ended by itself meanwhile.
        let _ = kill.status();
    }

    /// Ends it at once, as a machine that loses its power would.
    pub(crate) fn kill(&mut self) {
        // The keeper first, so that it takes nothing away.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("runs");
        self.signal("KILL");
        let stat = format!("/proc/{}/stat", pid.lines().next().expect("begins with its number"));
        // Whoever adopted it may be slow to take it off the list.
        eventually("it is dead", || {
            fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
        });
    }
}

/// A database with empty registers, on a server that all tests share.
pub(crate) struct Database {
    pub(crate) settings: PostgresSettings,
}

impl Database {
    /// A new one; the gateway's own files are in `seat`.
    pub(crate) fn new(seat: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("registers_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self::on(shared(), &name, seat, shared().port)
    }

    /// A new one on `server`, reached through `port`.
    pub(crate) fn on(server: &Server, name: &str, seat: &Path, port: u16) -> Self {
        let make = format!("CREATE DATABASE {name} OWNER gateway TEMPLATE template_of_registers");
        server.sql("postgres", &make);
        // The history's id came along with the template.
        let own = "UPDATE tamis.head SET history = gen_random_uuid()::text";
        server.sql(name, own);
        Self { settings: server.settings(name, seat, port) }
    }

    /// As a gateway has it.
    pub(crate) fn follow(&self) -> RegisterStore {
        let store = RegisterStore::following(&self.settings, Arc::new(Metrics::new()));
        let store = store.expect("settings");
        store.wait_until_known(Duration::from_secs(30));
        store
    }

    /// As a command has it.
    pub(crate) fn ask(&self) -> RegisterStore {
        RegisterStore::postgres(&self.settings).expect("settings")
    }
}

/// The server that all tests share.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::start)
}

/// Looks again and again until the state is there.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn new_folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("tamis-pg-").tempdir().expect("a folder");
    give_away(folder.path());
    folder.keep()
}

fn keep(folder: &Path, port: u16) -> Child {
    let data = text(&folder.join("data"));
    let port = port.to_string();
    let socket = format!("unix_socket_directories={}", text(folder));
    let options = [
        "ssl=on",
        "listen_addresses=127.0.0.1",
        &socket,
        "max_connections=200",
        "shared_buffers=16MB",
        "wal_level=replica",
    ];
    let mut server: Vec<String> =
        vec![text(&program("postgres")), "-D".into(), data, "-p".into(), port];
    for option in options {
        server.extend(["-c".to_owned(), option.to_owned()]);
    }
    let mut keeper = as_owner(Path::new("sh"));
    keeper.args(["-c", KEEPER, "keeper"]).arg(folder).args(server);
    // Nothing of it is to hold what the tests write to.
    keeper
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell")
}

fn children(of: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("Linux").flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if parent == Some(of) {
            found.push(pid);
        }
    }
    found
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn run(name: &str, arguments: &[&str]) -> String {
    let output = command(name, arguments).output().expect("runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {told}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn command(name: &str, arguments: &[&str]) -> Command {
    let mut command = as_owner(&program(name));
    command.args(arguments);
    command
}

/// PostgreSQL will not run as root.
fn as_owner(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", owner(), "--regid", owner(), "--clear-groups"]).arg(program);
    command.current_dir("/");
    command
}

fn give_away(folder: &Path) {
    if is_root() {
        let owner = format!("{}:{}", owner(), owner());
        let done = Command::new("chown").args(["-R", &owner]).arg(folder).status();
        assert!(done.is_ok_and(|status| status.success()), "chown");
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user that the package brings along.
const fn owner() -> &'static str {
    "postgres"
}

/// Debian keeps the server's programs out of the path.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let mut places: Vec<PathBuf> = ["/usr/lib/postgresql", "/usr/libexec/postgresql"]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|versions| versions.flatten().map(|version| version.path().join("bin")))
        .map(|folder| folder.join(name))
        .collect();
    places.sort();
    places.reverse();
    places
        .into_iter()
        .chain(in_path)
        .find(|place| place.is_file())
        .unwrap_or_else(|| panic!("PostgreSQL's {name} is not installed; run `make setup`"))
}

fn write(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new();
    let file = file.create(true).truncate(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}
