//! A way to a server that can stall and be turned to another server.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// The proxy; it lives as long as the tests do.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    way: Arc<Way>,
}

struct Way {
    target: AtomicU16,
    is_stalled: Mutex<bool>,
    changed: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let way = Arc::new(Way {
            target: AtomicU16::new(target),
            is_stalled: Mutex::new(false),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&way);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.connect(&client);
            }
        });
        Self { port, way }
    }

    /// From here on nothing passes, and nothing ends.
    pub(crate) fn stall(&self) {
        *self.way.is_stalled.lock().expect("unpoisoned") = true;
    }

    /// What waited passes.
    pub(crate) fn go_on(&self) {
        *self.way.is_stalled.lock().expect("unpoisoned") = false;
        self.way.changed.notify_all();
    }

    /// Ends every connection; new ones lead to `target`.
    pub(crate) fn turn_to(&self, target: u16) {
        self.way.target.store(target, Ordering::SeqCst);
        for stream in self.way.open.lock().expect("unpoisoned").drain(..) {
            // The other side may have ended it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Way {
    fn connect(self: &Arc<Self>, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target.load(Ordering::SeqCst)))
        else {
            return;
        };
        let mut open = self.open.lock().expect("unpoisoned");
        for (from, to) in [(client, &server), (&server, client)] {
            let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
            open.push(clone(from));
            let (way, from, to) = (Arc::clone(self), clone(from), clone(to));
            std::thread::spawn(move || way.pump(from, to));
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let stalled = self.is_stalled.lock().expect("unpoisoned");
            drop(self.changed.wait_while(stalled, |stalled| *stalled).expect("unpoisoned"));
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}
